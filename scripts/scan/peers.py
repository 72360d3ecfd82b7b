"""Measures two public engines over the same documents: argus-redact (its own rules) and Presidio with this repository's rules.
Prints one JSON object. Usage: peers.py FOLDER RULES DOCUMENTS"""

import json
import logging
import re
import sys
import time

import argus_redact
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, Pattern, PatternRecognizer, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

logging.disable(logging.WARNING)
folder, rules_path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
documents = [json.loads(line) for line in open(f"{folder}/labelled.ndjson", encoding="utf8")][:count]
rules = json.load(open(rules_path, encoding="utf8"))


def expand(pattern):
    while "{{" in pattern:
        pattern = re.sub(r"\{\{(\w+)\}\}", lambda m: "(?:" + rules["fragments"][m[1]] + ")", pattern)
    return pattern.replace("(?i-u:", "(?i:")


BOUNDS = {
    "word": r"(?<![0-9A-Za-z])(?:%s)(?![0-9A-Za-z])", "number": r"(?<![0-9A-Za-z])(?:%s)(?![0-9A-Za-z])",
    "digit": r"(?<![0-9])(?:%s)(?![0-9])", "none": "(?:%s)",
}
ENTITIES = {
    "id18": {"ID_CN_RESIDENT_18"}, "mobile": {"C_MOBILE_CN"}, "card": {"F_BANK_CARD"}, "uscc": {"O_USCC"}, "vin": {"V_VIN"},
    "imei": {"D_IMEI"}, "iban": {"F_IBAN"}, "twid": {"ID_TW_NID"}, "cnaps": {"F_CNAPS"}, "regno": {"O_BIZ_REG_15"},
}
CHECKED = ["id18", "card", "uscc", "vin", "imei", "iban", "twid", "cnaps", "regno"]


class NoNlp(NlpEngine):
    """Presidio without a language model, as fast as it can be."""

    def load(self): ...
    def is_loaded(self): return True
    def process_text(self, text, language): return NlpArtifacts([], [], [], [], self, language)
    def process_batch(self, texts, language, **_): return ((text, self.process_text(text, language)) for text in texts)
    def is_stopword(self, word, language): return False
    def is_punct(self, word, language): return False
    def get_supported_entities(self): return []
    def get_supported_languages(self): return ["zh"]


def presidio():
    registry = RecognizerRegistry(supported_languages=["zh"])
    for rule in rules["rules"]:
        pattern = Pattern(rule["id"], BOUNDS[rule["bound"]] % expand(rule["pattern"]), 0.6)
        registry.add_recognizer(PatternRecognizer(rule["id"], name=rule["id"], supported_language="zh", patterns=[pattern], global_regex_flags=re.DOTALL))
    engine = AnalyzerEngine(registry=registry, nlp_engine=NoNlp(), supported_languages=["zh"])
    return lambda text: [(found.entity_type, found.start, found.end) for found in engine.analyze(text, "zh")]


def argus(text):
    found = argus_redact.redact(text, mode="fast", lang="zh", detailed=True)[2]["entities"]
    return [(entity["type"], entity["start"], entity["end"]) for entity in found]


def measure(find, is_kind):
    """Processor time of one run over everything, and how many values with a check digit it covers by half or more."""
    for document in documents[:20]:
        find(document["text"])
    found, all_, size = 0, 0, 0
    begin = time.process_time()
    results = [find(document["text"]) for document in documents]
    seconds = time.process_time() - begin
    for document, spans in zip(documents, results):
        size += len(document["text"].encode())
        for kind, start, end in document["spans"]:
            if kind in CHECKED:
                all_ += 1
                found += any(is_kind(kind, name) and (min(e, end) - max(s, start)) * 2 >= end - start for name, s, e in spans)
    return {"mb_per_second": size / seconds / 1e6, "recall": 100 * found / all_}


# argus-redact names its types differently; anything it reports at the place counts, so its figure is the kindest there is.
print(json.dumps({"argus": measure(argus, lambda kind, name: True), "presidio": measure(presidio(), lambda kind, name: name in ENTITIES[kind])}))
