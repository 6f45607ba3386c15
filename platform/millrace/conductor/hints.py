"""Words in column names and values that tell what they are about, in several languages."""

import re
import unicodedata
from dataclasses import dataclass

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[^0-9a-z]+")
_LONG = 6
"""A hint of so many letters is also found inside a longer word, such as `marital` in `maritalstatus`."""


@dataclass(frozen=True)
class Hint:
    """How strongly a name points somewhere, and why."""

    weight: float
    reason: str

    @staticmethod
    def words(name: str) -> tuple[str, ...]:
        """The words of a column name, lower case, without accents: `DateOfBirth` gives date, of, birth."""
        plain = unicodedata.normalize("NFKD", _CAMEL.sub(" ", name))
        plain = "".join(char for char in plain if not unicodedata.combining(char)).casefold()
        return tuple(word for word in _SEPARATORS.split(plain) if word)


def _set(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


_TARGETS: tuple[tuple[float, frozenset[str]], ...] = (
    (0.6, _set("target label class y outcome ziel zielvariable cible objetivo etiqueta ergebnis classe klasse")),
    (
        0.45,
        _set(
            "default churn churned approved approval approve accepted admitted survived fraud hired granted response",
            "converted income salary price status result diagnosis decision quality rating readmitted attrition recid",
            "recidivism bankrupt delinquent subscribed clicked purchased outcome target label class species risk grade",
            "genehmigt bewilligt kredit preis gehalt einkommen ausfall impago precio prix salaire approuve aprobado",
        ),
    ),
)
_EXACT_ONLY = frozenset({"y", "class", "label", "target"})

_ADVERSE = _set(
    "default churn churned fraud death died readmitted attrition recid recidivism bankrupt bankruptcy delinquent",
    "rejected denied failure fault disease cancer ausfall kundigung kuendigung impago risk late arrested",
)

_SENSITIVE: tuple[tuple[str, float, frozenset[str]], ...] = (
    ("sex or gender", 0.95, _set("sex gender geschlecht sexe genre genero sexo sesso genere geslacht")),
    ("race or ethnic origin", 0.95, _set("race ethnicity ethnic ethnie ethnicite rasse raza etnia razza hautfarbe")),
    (
        "age",
        0.9,
        _set(
            "age alter edad eta idade leeftijd agegroup birth birthday birthdate birthyear dob geburtsdatum",
            "geburtsjahr naissance nacimiento",
        ),
    ),
    (
        "marital status",
        0.85,
        _set("marital married marriage familienstand matrimonial civil maritalstatus relationship"),
    ),
    ("religion", 0.95, _set("religion religious konfession")),
    (
        "nationality or origin",
        0.9,
        _set(
            "nationality nationalitat nationalite nacionalidad citizenship citizen staatsangehorigkeit",
            "staatsangehoerigkeit immigrant foreign foreigner migration birthplace nativecountry native origin",
            "herkunft",
        ),
    ),
    (
        "disability or health",
        0.9,
        _set("disability disabled behinderung handicap discapacidad pregnancy pregnant schwangerschaft"),
    ),
    ("sexual orientation", 0.95, _set("orientation lgbt")),
    (
        "education, which often stands in for origin",
        0.6,
        _set("education bildung educacion schooling ausbildung"),
    ),
    ("language, which often stands in for origin", 0.6, _set("language sprache langue idioma")),
    (
        "place of living, which often stands in for origin",
        0.4,
        _set("zip zipcode postcode postal plz neighborhood neighbourhood"),
    ),
    ("a protected group", 0.8, _set("veteran caste union")),
)

_YES = _set("yes y true t 1 1.0 ja oui si sim vrai wahr")
_NO = _set("no n false f 0 0.0 -1 nein non nao faux falsch")
_GOOD = _set(
    "approved accept accepted good positive pass passed success granted hired admitted survived paid fully_paid",
    "retained gut bewilligt genehmigt >50k high won",
)
_BAD = _set(
    "denied declined rejected reject bad negative fail failed schlecht abgelehnt <=50k low lost charged_off default",
    "churned died",
)


def target_hint(name: str) -> Hint | None:
    """Why a column of that name may be the target."""
    words = Hint.words(name)
    for weight, vocabulary in _TARGETS:
        # a strong word counts fully only when it is the whole name: `class` is a target, `class_size` is not
        found = next((word for word in words if word in vocabulary and (weight < 0.6 or len(words) == 1)), None)
        if found is None:
            continue
        if len(words) > 2 and found in _EXACT_ONLY:
            continue
        return Hint(weight, f"the name {found!r} is usual for a target")
    return None


def adverse_hint(name: str) -> str | None:
    """The word in the name that says that the event is unwanted, such as `default` or `churn`."""
    return next((word for word in Hint.words(name) if word in _ADVERSE), None)


def favourable(value: str, *, adverse: bool) -> bool | None:
    """Whether the value is the one that people hope for; None when nothing tells.

    In a column that names something unwanted (`adverse`), `no` is hoped for and not `yes`; `approved` or `good` are
    hoped for anywhere.
    """
    plain = "_".join(value.strip().casefold().rstrip(".").split())
    if plain in _GOOD:
        return True
    if plain in _BAD:
        return False
    if plain in _YES or value.strip() in _YES:
        return not adverse
    if plain in _NO or value.strip() in _NO:
        return adverse
    return None


def sensitive_hint(name: str) -> Hint | None:
    """Why a column of that name may describe a protected attribute."""
    words = Hint.words(name)
    joined = "".join(words)
    for attribute, weight, vocabulary in _SENSITIVE:
        for known in sorted(vocabulary):
            if known in words or (len(known) >= _LONG and known in joined):
                return Hint(weight, f"the name {known!r} points to {attribute}")
    return None
