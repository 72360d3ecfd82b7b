"""Writes docs/figures/performance-scan.json from what was measured. Usage: figure.py MEASURED PEERS"""

import json
import os
import pathlib
import sys

measured, peers = (json.load(open(path, encoding="utf8")) for path in sys.argv[1:3])
figures = {
    "scan_documents_mb_per_core_second": measured["speed_documents"],
    "scan_whole_text_mb_per_core_second": measured["speed_text"],
    "scan_negative_mb_per_core_second": measured["speed_negative"],
    "argus_redact_mb_per_core_second": peers["argus"]["mb_per_second"],
    "presidio_same_rules_mb_per_core_second": peers["presidio"]["mb_per_second"],
    "argus_redact_check_digit_recall_percent": peers["argus"]["recall"],
    "presidio_same_rules_check_digit_recall_percent": peers["presidio"]["recall"],
    "check_digit_recall_percent": measured["checked_recall"],
    "check_digit_precision_percent": measured["checked_precision"],
    "check_digit_recall_of_the_worst_template_percent": measured["worst_template"],
    "adversarial_recall_percent": measured["adversarial_recall"],
    "false_findings_of_grade_3_and_4_per_mb": measured["negative_per_mb"],
    "negative_text_mb": measured["negative_mb"],
    "rules_count": measured["rules"],
    "loading_ms": measured["loading_ms"],
    "documents_count": measured["documents"],
    "values_judged_by_other_libraries_count": measured["values"],
    "values_judged_otherwise_count": measured["disagreements"],
}
figures["scan_to_faster_peer_ratio"] = measured["speed_documents"] / max(peers["argus"]["mb_per_second"], peers["presidio"]["mb_per_second"])
for kind, tally in measured["kinds"].items():
    figures[f"{kind}_recall_percent"] = tally["recall"]
    figures[f"{kind}_exact_percent"] = tally["exact"]
    figures[f"{kind}_precision_percent"] = tally["precision"]
bars = {
    "scan_documents_mb_per_core_second": {"min": 20},
    # Faster than either public engine over the same documents in the same run.
    "scan_to_faster_peer_ratio": {"min": 1},
    "check_digit_recall_percent": {"min": 99},
    "false_findings_of_grade_3_and_4_per_mb": {"max": 2},
    "values_judged_otherwise_count": {"max": 0},
}
load = pathlib.Path("/proc/loadavg").read_text().split()[:3]
figure = {
    "name": "performance-scan",
    "command": "./run bench scan",
    "commit": os.environ["VOUCH_COMMIT"],
    "date": os.environ["VOUCH_DATE"],
    "machine": os.environ["VOUCH_MACHINE"],
    "beside": f"nothing of the measurement; processor time of one core, so other work does not count; load average {' '.join(load)}"
    + ("; the tree had changes on top of this commit" if os.environ.get("VOUCH_UNCOMMITTED") == "yes" else ""),
    "figures": {key: round(value, 3) for key, value in figures.items()},
    "bars": bars,
}
path = pathlib.Path(os.environ["VOUCH_FIGURES"]) / "performance-scan.json"
path.write_text(json.dumps(figure, indent=2, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf8")
for key, value in sorted(figure["figures"].items()):
    bar = bars.get(key)
    missed = bar and (value < bar.get("min", value) or value > bar.get("max", value))
    print(f"{key}: {value}" + (f"  (bar {bar}{', MISSED' if missed else ''})" if bar else ""))
print("false findings by rule:", measured["negative_by_rule"])
