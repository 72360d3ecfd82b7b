"""Writes sdk/privacy/tests/privacy/vectors/checks.json: values with the verdict of libraries that others wrote. Usage: vectors.py FILE
Needs the packages of measure.sh, mrz 0.6.2 and vininfo 1.11.0."""

import json
import random
import sys

from faker import Faker
from id_validator import validator as id_validator
from mrz.checker.td3 import TD3CodeChecker
from mrz.generator.td3 import TD3CodeGenerator
from stdnum import iban, luhn
from stdnum.cn import uscc
from stdnum.iso7064 import mod_11_10
from vininfo import Vin

SEED = 20261126
random.seed(SEED)
Faker.seed(SEED)
zh, tw, en = Faker("zh_CN"), Faker("zh_TW"), Faker("en_US")
banks = [Faker(locale) for locale in ("en_GB", "de_DE", "fr_FR", "it_IT", "nl_NL")]
digits = lambda n: "".join(random.choices("0123456789", k=n))
SYMBOLS = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def mainland():
    # Whether 71, Taiwan, is a region of resident identity numbers is a question of the table, which the library answers otherwise.
    while (value := zh.ssn()).startswith("71"):
        pass
    return value


def verdict(function, value):
    try:
        return bool(function(value))
    except Exception:  # A library that refuses a value says no.
        return False


def credit_code():
    body = random.choice(["91", "92", "51"]) + zh.ssn()[:6] + "".join(random.choices(SYMBOLS, k=9))
    return body + uscc.calc_check_digit(body)


def passport_line():
    number = random.choice("EGP") + digits(8)
    lines = str(TD3CodeGenerator("P", "CHN", "ZHANG", "SAN", number, "CHN", digits_date(), random.choice("MF"), "301231"))
    return lines.split("\n")[1]


def digits_date():
    return f"{random.randint(50, 99)}{random.randint(1, 12):02}{random.randint(1, 28):02}"


def line_valid(line):
    checker = TD3CodeChecker("P<CHNZHANG<<SAN".ljust(44, "<") + "\n" + line)
    return all([checker.document_number_hash, checker.birth_date_hash, checker.expiry_date_hash])


def changed(value, symbols):
    place = random.randrange(len(value))
    return value[:place] + random.choice(symbols) + value[place + 1 :]


# Check, generator, symbols a change may put in, judge.
SUBJECTS = [
    ("cnid18", mainland, "0123456789", id_validator.is_valid),
    ("uscc", credit_code, SYMBOLS, lambda v: uscc.calc_check_digit(v[:-1]) == v[-1]),
    ("luhn", lambda: (lambda b: b + luhn.calc_check_digit(b))(digits(14)), "0123456789", luhn.is_valid),
    ("mod11_10", lambda: (lambda b: b + mod_11_10.calc_check_digit(b))(digits(14)), "0123456789", mod_11_10.is_valid),
    ("iban", lambda: random.choice(banks).iban(), "0123456789", lambda v: iban.is_valid(v, check_country=False)),
    ("vin", en.vin, "ABCDEFGHJKLMNPRSTUVWXYZ0123456789", lambda v: Vin(v).verify_checksum(check_year=False)),
    ("mrz", passport_line, "0123456789", line_valid),
]
table = {"source": "python-stdnum 2.2, id-validator 1.0.20, mrz 0.6.2, vininfo 1.11.0, Faker 40.63.0", "seed": SEED, "values": []}
for name, make, symbols, judge in SUBJECTS:
    for index in range(200):
        value = make()
        value = changed(value, symbols) if index % 2 else value
        table["values"].append([name, value, verdict(judge, value)])
# Faker writes Taiwan numbers that hold; of changed ones nobody here says anything.
table["values"] += [["twid", tw.ssn(), True] for _ in range(100)]
with open(sys.argv[1], "w", encoding="utf8") as file:
    file.write("{\n" + f' "source": {json.dumps(table["source"])},\n "seed": {SEED},\n "values": [\n')
    file.write(",\n".join("  " + json.dumps(row) for row in table["values"]) + "\n ]\n}\n")
