"""Tables that people write, and what they are told where they err."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, Literal

import pytest
from annotated_types import Gt, Le
from hypothesis import given
from hypothesis import strategies as st

from camm import UsageError
from camm.declared import DeclarationError, declared, make, parse


@declared
class Wheel:
    diameter_m: Annotated[float, Gt(0)]
    spokes: int = 32
    tubeless: bool = False


@declared
class Bicycle:
    name: str
    front: Wheel
    rear: Wheel
    built: datetime | None = None
    brakes: Literal["rim", "disc"] = "rim"
    gears: tuple[int, ...] = ()
    size: tuple[float, float, float] = (0.0, 0.0, 0.0)
    load: Annotated[float, Le(150)] | None = None
    spare: tuple[Wheel, ...] = ()

    def __post_init__(self):
        if self.front.diameter_m > 2 * self.rear.diameter_m:
            raise UsageError("a penny-farthing is no bicycle: make the front wheel smaller")


GOOD = """
built = 2026-07-02T16:42:17Z
gears = [11, 13, 15]
[front]
diameter_m = 1
tubeless = true
[rear]
diameter_m = 0.622
[[spare]]
diameter_m = 0.6
[[spare]]
diameter_m = 0.5
spokes = 28
"""


def test_a_file_becomes_the_table_that_was_declared():
    bicycle = parse(Bicycle, GOOD, "bike.toml", name="Rover")
    assert bicycle.name == "Rover"
    assert bicycle.built.isoformat() == "2026-07-02T16:42:17+00:00"
    assert bicycle.gears == (11, 13, 15)
    assert bicycle.front == Wheel(1.0, tubeless=True)
    assert isinstance(bicycle.front.diameter_m, float)
    assert [wheel.spokes for wheel in bicycle.spare] == [32, 28]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("tubeless", "tubless", "line 6: unknown key 'front.tubless', did you mean 'tubeless'?"),
        ("tubeless", "bell", "line 6: unknown key 'front.bell'; there are: diameter_m, spokes, tu"),
        ("= 0.622", '= "big"', "line 8: rear.diameter_m must be a number, found 'big'"),
        ("= 0.622", "= -1", "line 8: rear.diameter_m must be greater than 0, found -1"),
        ("= 0.622", "= nan", "line 8: rear.diameter_m must be a finite number, found nan"),
        ("diameter_m = 0.622", "", "line 7: the key 'rear.diameter_m' is missing"),
        ("= true", "= 1", "line 6: front.tubeless must be true or false, found 1"),
        ("13,", "true,", r"line 3: gears[1] must be a whole number, found true"),
        ("[11, 13, 15]", "11", "line 3: gears must be a list, found 11"),
        ("= 28", "= 2.5", "line 13: spare[1].spokes must be a whole number, found 2.5"),
        ("spokes", "spoks", "line 13: unknown key 'spare[1].spoks', did you mean 'spokes'?"),
        ("2026-07-02T16:42:17Z", "7", "line 2: built must be a date and time, found 7"),
        ("built = 2026", "load = 151\n#", "line 2: load must be less than or equal to 150, found"),
        ("built = 2026", "brakes = 'drum'\n#", "line 2: brakes must be 'rim' or 'disc', found"),
        ("built = 2026", "size = [1.0]\n#", "line 2: size has too few items, number 2 is missing"),
        ("[rear]", "[reer]", "line 7: unknown key 'reer', did you mean 'rear'? (and 1 more)"),
        ("diameter_m = 1", "diameter_m = 9", ": a penny-farthing is no bicycle: make the front"),
        ("[rear]", "[rear", " cannot be read as TOML: "),
    ],
)
def test_an_error_is_told_with_its_place(old, new, complaint):
    assert old in GOOD
    with pytest.raises(DeclarationError) as raised:
        parse(Bicycle, GOOD.replace(old, new, 1), "bike.toml", name="Rover")
    assert str(raised.value).startswith("bike.toml")
    assert complaint in str(raised.value)


def test_all_problems_are_kept():
    with pytest.raises(DeclarationError) as raised:
        parse(Bicycle, "[front]\ndiameter = 1", "bike.toml")
    assert len(raised.value.problems) == 4
    assert str(raised.value).endswith("(and 3 more)")


def test_a_table_of_the_program_has_no_place():
    with pytest.raises(UsageError, match=r"^front\.spokes must be a whole number, found '8'$"):
        make(Bicycle, {"name": "", "front": {"diameter_m": 1, "spokes": "8"}, "rear": _wheel()})
    assert make(Bicycle, {"name": "", "front": _wheel(), "rear": _wheel()}).rear == Wheel(1.0)


def _wheel():
    return {"diameter_m": 1}


@given(st.text(max_size=60), st.integers(0, len(GOOD)))
def test_no_file_makes_more_than_a_complaint(noise, at):
    with suppress(DeclarationError):
        parse(Bicycle, GOOD[:at] + noise + GOOD[at:], "bike.toml", name="Rover")
