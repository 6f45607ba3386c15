"""Made-up financial documents of eight kinds, the same for the same seed and number."""

import random
from collections.abc import Callable
from typing import NamedTuple

_FIRST = ("Alder", "Birch", "Cobalt", "Delta", "Ember", "Falcon", "Granite", "Harbor", "Indigo", "Juniper")
_SECOND = ("Energy", "Foods", "Logistics", "Semiconductor", "Health", "Retail", "Water", "Mining", "Software", "Rail")
_FORM = ("Inc.", "Corp.", "plc", "AG", "Holdings")
_REGIONS = ("North America", "Europe", "Asia-Pacific", "Latin America")
_CAUSES = ("higher volumes", "lower input costs", "price increases", "a weaker currency", "a recall", "a strike")
_RISKS = (
    "a single supplier delivers more than half of one component",
    "a tax authority disputes transfer prices of earlier years",
    "the credit agreement's leverage covenant leaves little headroom",
    "demand in its largest market depends on interest rates",
    "a data breach at a service provider is being investigated",
)


class Sample(NamedTuple):
    """A document as the producer sends it."""

    document_id: str
    document_type: str
    title: str
    text: str


class _Facts:
    """Figures of a made-up company that agree with each other."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.company = f"{rng.choice(_FIRST)} {rng.choice(_SECOND)} {rng.choice(_FORM)}"
        self.year = rng.randint(2019, 2026)
        self.quarter = rng.randint(1, 4)
        self.before = rng.randint(80, 9_000)
        self.change = round(rng.uniform(-18, 24), 1)
        self.revenue = round(self.before * (1 + self.change / 100))
        self.margin = round(rng.uniform(2, 31), 1)
        self.income = round(self.revenue * self.margin / 100)
        self.region = rng.choice(_REGIONS)
        self.cause = rng.choice(_CAUSES)
        self.risk = rng.choice(_RISKS)

    @property
    def moved(self) -> str:
        return f"{'rose' if self.change >= 0 else 'fell'} by {abs(self.change)} %"


def _earnings_report(one: _Facts) -> tuple[str, str]:
    return f"{one.company}: results of the quarter Q{one.quarter} {one.year}", (
        f"{one.company} reports revenue of {one.revenue} million dollars for Q{one.quarter} {one.year}. Revenue "
        f"{one.moved} from {one.before} million a year earlier, mainly because of {one.cause} in {one.region}.\n\n"
        f"Operating income was {one.income} million, a margin of {one.margin} %. The board proposes a dividend of "
        f"{one.rng.randint(5, 90)} cents a share. For the full year the company expects revenue "
        f"{one.rng.choice(('in line with', 'above', 'below'))} its earlier guidance.\n\nAmong the risks: {one.risk}."
    )


def _annual_filing(one: _Facts) -> tuple[str, str]:
    return f"{one.company}: annual report (form 10-K), fiscal year {one.year}", (
        f"Item 1A. Risk factors. Our business is exposed to risks, among which: {one.risk}; "
        f"{one.rng.choice(_RISKS)}. Item 7. Management's discussion. Net sales {one.moved} to {one.revenue} million "
        f"dollars ({one.before} million in the year before), driven by {one.cause}. Operating margin was "
        f"{one.margin} %. Cash from operations was {round(one.income * 1.2)} million; capital expenditure "
        f"{round(one.revenue * 0.06)} million. Item 9A. Management concluded that internal control over financial "
        f"reporting was {one.rng.choice(('effective', 'effective', 'not effective because of a material weakness'))}."
    )


def _current_filing(one: _Facts) -> tuple[str, str]:
    what = one.rng.choice(("the departure of its chief financial officer", "an impairment of goodwill",
                           "the termination of a material agreement", "a change of auditor"))  # fmt: skip
    return f"{one.company}: current report (form 8-K)", (
        f"On the date of this report {one.company} announced {what}. The company estimates the effect on operating "
        f"income at {round(one.income * 0.1)} million dollars. No other terms were changed. The board has begun a "
        "review and will report on it with the next quarterly figures."
    )


def _news(one: _Facts) -> tuple[str, str]:
    return f"{one.company} shares {'climb' if one.change >= 0 else 'slide'} after {one.cause} in {one.region}", (
        f"Shares of {one.company} moved {abs(round(one.change / 2, 1))} % on Tuesday after the company said that sales "
        f'in {one.region} {one.moved}. Analysts had expected less movement. "The market is reading this as '
        f'{"a turn" if one.change >= 0 else "a warning"}," said a portfolio manager who holds the stock. The company '
        f"pointed to {one.cause}."
    )


def _analyst_note(one: _Facts) -> tuple[str, str]:
    target = one.rng.randint(12, 400)
    return f"{one.company}: {one.rng.choice(('upgrade to buy', 'downgrade to hold', 'target price changed'))}", (
        f"We change our target price for {one.company} to {target} dollars from {round(target * 0.9)}. Our model has "
        f"revenue of {one.revenue} million for {one.year} and an operating margin of {one.margin} %. The main driver "
        f"is {one.cause}; the main risk is that {one.risk}. The stock trades at {one.rng.randint(6, 45)} times "
        "earnings, against a ten-year mean of 17."
    )


def _central_bank(one: _Facts) -> tuple[str, str]:
    rate = one.rng.choice((0.25, 1.5, 2.75, 4.0, 5.25))
    step = one.rng.choice((-25, 0, 25, 50))
    return f"Monetary policy statement, Q{one.quarter} {one.year}", (
        f"The committee decided to {'keep' if step == 0 else 'change'} the policy rate"
        f"{'' if step == 0 else f' by {step} basis points'}, to {rate + step / 100:.2f} %. Inflation was "
        f"{round(one.rng.uniform(0.4, 8.9), 1)} % and is expected to approach its target within two years. Growth in "
        f"{one.region} has {one.rng.choice(('slowed', 'picked up', 'been steady'))}. {one.rng.randint(5, 9)} members "
        f"voted for the decision, {one.rng.randint(0, 3)} against."
    )


def _rating_action(one: _Facts) -> tuple[str, str]:
    return f"Rating action: {one.company}", (
        f"We {one.rng.choice(('affirm', 'lower', 'raise'))} the long-term issuer rating of {one.company} to "
        f"{one.rng.choice(('A-', 'BBB', 'BBB-', 'BB+', 'B'))} with a "
        f"{one.rng.choice(('stable', 'negative', 'positive'))} outlook. Debt to EBITDA stands at "
        f"{round(one.rng.uniform(0.8, 6.5), 1)}. Revenue of {one.revenue} million {one.moved}. We note that {one.risk}."
    )


def _merger(one: _Facts) -> tuple[str, str]:
    target = f"{one.rng.choice(_FIRST)} {one.rng.choice(_SECOND)} {one.rng.choice(_FORM)}"
    return f"{one.company} to acquire {target}", (
        f"{one.company} has agreed to acquire {target} for {one.rng.randint(60, 4_000)} million dollars in "
        f"{one.rng.choice(('cash', 'shares', 'cash and shares'))}, a premium of {one.rng.randint(8, 55)} % over the "
        f"last closing price. The transaction needs the approval of regulators in {one.region} and is expected to "
        f"close within {one.rng.randint(4, 18)} months. Cost synergies of {round(one.revenue * 0.02)} million a year "
        "are expected from the third year on."
    )


KINDS: dict[str, Callable[[_Facts], tuple[str, str]]] = {
    "earnings_report": _earnings_report,
    "sec_filing_10k": _annual_filing,
    "sec_filing_8k": _current_filing,
    "news": _news,
    "analyst_note": _analyst_note,
    "central_bank_statement": _central_bank,
    "rating_action": _rating_action,
    "merger_announcement": _merger,
}
"""Document type → how its title and text are made."""


def sample(seed: int, number: int) -> Sample:
    """The `number`th document of this seed; kinds take turns."""
    rng = random.Random(f"{seed}/{number}")
    kind = list(KINDS)[number % len(KINDS)]
    title, text = KINDS[kind](_Facts(rng))
    return Sample(f"{kind}-{seed}-{number}", kind, title, text)


def bad_message(seed: int, number: int) -> bytes:
    """A message that is no document: no JSON, no UTF-8, no text, too deep."""
    rng = random.Random(f"{seed}/{number}/bad")
    return rng.choice(
        (b"{not json", b"\xff\xfe\x00", b'{"document_id": "x"}', b"[" * 5_000, b"null", rng.randbytes(64))
    )
