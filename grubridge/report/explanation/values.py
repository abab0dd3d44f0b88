"""An explanation as JSON values, its numbers in full; one that is not finite is null."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from grubridge.explanation.arithmetic import GateValue, Step, UnitStep
from grubridge.explanation.expectation import Expectation
from grubridge.explanation.explaining import Explanation
from grubridge.layouts.toml import to_json as layout_to_json
from grubridge.spec import GATE_NAMES

from .formulas import formulas
from .notation import Notation

__all__ = ["to_json"]


def to_json(story: Explanation) -> dict[str, Any]:
    """Return the same numbers as the text has, in full."""
    layer, direction = story.layer, story.direction
    write = Notation(story.digits, several=direction.hidden_size > 1)
    return {
        "model": story.model,
        "stack": story.stack,
        "layer": story.place[0],
        "direction": story.place[1],
        "input_size": direction.input_size,
        "hidden_size": direction.hidden_size,
        "formulas": [f"{formula.left} = {formula.right}" for formula in formulas(story, write)],
        "conventions": {
            "update": "absent" if "update" in direction.absent_gates else "takes" if story.takes else "keeps",
            "reset": "absent"
            if "reset" in direction.absent_gates
            else "after"
            if layer.reset_after
            else "before",
            "gate_activation": str(direction.gate_activation),
            "candidate_activation": str(direction.candidate_activation),
            "clip": layer.clip,
        },
        "layout": None if story.layout is None else layout_to_json(story.layout),
        "notes": list(story.notes),
        "inputs": {"origin": story.probe.origin, "steps": story.probe.steps},
        "start": story.start.tolist(),
        "steps": [_step(step) for step in story.steps],
        "answer": {"step": story.answer, "hidden": story.hidden[story.answer].tolist()},
        "expectations": [_expectation(found) for found in story.expectations],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "step": step.time,
        "x": step.x.tolist(),
        "previous": step.previous.tolist(),
        "hidden": step.hidden.tolist(),
        "units": [_unit(worked) for worked in step.units],
    }


def _unit(worked: UnitStep) -> dict[str, Any]:
    found = dict(worked.gates())
    gates = {str(gate): _gate(found[gate]) if gate in found else None for gate in GATE_NAMES}
    return {"unit": worked.unit, **gates, "previous": worked.previous, "hidden": worked.hidden}


def _gate(value: GateValue) -> dict[str, Any]:
    return {**asdict(value), "activation": str(value.activation)}


def _expectation(found: Expectation) -> dict[str, Any]:
    return {"expected": found.text, **{key: value for key, value in asdict(found).items() if key != "text"}}
