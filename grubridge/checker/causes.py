"""Why a run is not what it is held against: a number in the files, a mistake, a precision, a weight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from grubridge.diagnosis.explain import Explanation, explain
from grubridge.diagnosis.weight_change import WeightChange, localise
from grubridge.traces import Place, Trace

from .executed import Difference, Probes
from .file_causes import file_cause
from .findings import Cause, Mend, Tried
from .verdict import Verdict

__all__ = ["causes", "mistake", "unexplained", "weight"]


def causes(found: Difference, probes: Probes) -> Iterator[Cause]:
    """Yield what explains a difference, the most certain first; nothing where there is none."""
    places = {(one.layer, one.direction) for one in found.compared if one.verdict is Verdict.DIFFERENT}
    sensed = found.sensing is not None and found.sensing.verdict is Verdict.DIFFERENT
    if not places and not sensed:
        return
    told = _of_the_files(found)
    if told is not None:
        yield told
        return
    explanations = _explained(found, probes, places)
    yield from (mistake(one, _fix(found)) for one in explanations)
    explained = {place for one in explanations for place in one.places}
    everywhere = {(index, name) for index, name, _ in found.held.spec.directions()}
    for place in sorted((places or everywhere) - explained):
        told = _setting(found, place)
        if told is not None:
            yield told
            explained.add(place)
    for change in _changes(found, probes, places - explained, explained):
        yield weight(change, _fix(found))
        explained.add((change.layer, change.direction))
    yield from unexplained(places - explained)


def mistake(one: Explanation, fix: Mend) -> Cause:
    """Return the cause that an explanation is; `fix` mends it where it is a convention."""
    lowered = all(edit.axis == "precision" for edit in one.hypothesis)
    mend: Mend = fix if one.convention else "full precision" if lowered else ""
    tried = tuple(Tried(each.what, each.residual, each.headroom) for each in (one, *one.ties))
    return Cause(one.cause, one.sentence, one.edits, tuple(tie.what for tie in one.ties), mend, tried)


def weight(change: WeightChange, fix: Mend) -> Cause:
    """Return the cause that a single weight is; `fix` mends it."""
    index = f"[{change.unit}]" if change.column is None else f"[{change.unit}, {change.column}]"
    where = f"layer {change.layer} {change.direction} {change.part}.{change.gate}{index}"
    rest = "" if change.explains else ", and more than that"
    edits = (f"{change.part}.{change.gate}{index}{change.change:+.3g}",)
    return Cause("weight", f"{where} differs by {change.change:+.2g}{rest}", edits, mend=fix)


def unexplained(places: Iterable[Place]) -> Iterator[Cause]:
    """Yield one cause for all places that nothing explains, if there are any."""
    where = ", ".join(f"layer {layer} {direction}" for layer, direction in sorted(places))
    if where:
        yield Cause("unexplained", f"no known mistake, precision or single weight explains {where}")


def _fix(found: Difference) -> Mend:
    """Only a file that the user has can be written anew."""
    return "write anew" if found.held.edge == "end-to-end" else ""


def _of_the_files(found: Difference) -> Cause | None:
    if found.proof is None:
        return None
    return file_cause(found.proof, found.held.subject, found.run.planned.subject, _fix(found))


def _setting(found: Difference, place: Place) -> Cause | None:
    """The cause, where the files differ in settings there and in no number."""
    differences = () if found.proof is None else found.proof.differences
    own = [one for one in differences if (one.layer, one.direction) == place]
    if not own or any(one.unit is not None for one in own):
        return None
    told = "; ".join(f"{one.tensor}: {one.detail}" for one in own)
    return Cause("setting", f"layer {place[0]} {place[1]} {told}", mend=_fix(found))


def _explained(found: Difference, probes: Probes, places: set[Place]) -> tuple[Explanation, ...]:
    """Search for mistakes in what the inputs show, else in what the designed probe shows."""
    trace: Trace | None = found.run.trace
    probe = probes.inputs
    if not places:
        trace, probe = found.run.designed, probes.designed
    if trace is None:
        return ()
    order = [(index, name) for index, name, _ in found.held.spec.directions()]
    return explain(
        found.held.spec, trace, probe, found.how, [one for one in order if one in places or not places]
    )


def _changes(
    found: Difference, probes: Probes, places: set[Place], explained: set[Place]
) -> Iterator[WeightChange]:
    """Yield the single weights that account for what is left."""
    sensed = found.sensing.sensed.changes if found.sensing is not None else ()
    for change in sensed:
        place = (change.layer, change.direction)
        if place not in explained and (change.explains or place not in places):
            yield change
            places = places - {place}
    for place in sorted(places):
        looked = localise(found.held.spec, found.run.trace, probes.inputs, place, found.how)
        if looked is not None and looked.explains:
            yield looked
