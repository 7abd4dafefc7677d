"""What a verdict is: a pure function from a finished trial to pass, fail or unknown.

`facts` is a trial as plain values, `doubts` what may be wrong with them, `ranges` a figure with its accuracy, `row` one limit beside
its figure, `rows` all of them (`times`, `connections`, `load`, `ends`), `decide` the verdict and its reason, `text` how a row is said,
`standing` how long a fault stands, `outcome` a whole run's exit code.
"""

from scenarios.verdict.decide import Judged, judge
from scenarios.verdict.doubts import Doubt
from scenarios.verdict.facts import Act, Heal, Held, Load, Loaded, Lost, Series, Trial
from scenarios.verdict.rows import Row, rows_of

__all__ = [
    "Act",
    "Doubt",
    "Heal",
    "Held",
    "Judged",
    "Load",
    "Loaded",
    "Lost",
    "Row",
    "Series",
    "Trial",
    "judge",
    "rows_of",
]
