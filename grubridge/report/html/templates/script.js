"use strict";
// One cursor for the drawings of a figure: it moves with the pointer and with the arrow keys, and the table
// below them shows the numbers. Without this script the table shows those that matter most.
(() => {
  const element = document.getElementById("grubridge-data");
  if (!element) return;
  const data = JSON.parse(element.textContent);

  const READERS = { f8: ["getFloat64", 8], f4: ["getFloat32", 4], u4: ["getUint32", 4], u2: ["getUint16", 2] };
  function unpacked({ type, data: text }) {
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const [read, size] = READERS[type];
    return Array.from({ length: bytes.length / size }, (_, index) => view[read](index * size, true));
  }

  // As numbers.py writes them.
  function figure(value, digits = 3) {
    if (Number.isNaN(value)) return "NaN";
    if (!Number.isFinite(value)) return value > 0 ? "infinite" : "-infinite";
    if (value === 0) return "0";
    const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
    const power = Number(exponent);
    if (power >= -4 && power < Math.max(digits, 4)) return value.toFixed(Math.max(0, digits - 1 - power));
    return `${mantissa}e${power}`;
  }
  const signed = (value) => (value > 0 ? "+" : "") + figure(value, 4);

  // A figure with a grid of columns and rows, over which its cursor moves.
  // `column` says which one is at a share of the width.
  function follow(box, { columns, rows, start, areas, column, mark, numbers }) {
    const surface = box.querySelector(".cursors");
    const said = box.querySelector(".said");
    let at = start;
    function move(toColumn, toRow, aloud) {
      at = [Math.min(columns - 1, Math.max(0, toColumn)), Math.min(rows - 1, Math.max(0, toRow))];
      surface.classList.add("live-cursor");
      box.querySelector(".still").hidden = true;
      box.querySelector(".live").hidden = false;
      mark(...at);
      const told = [];
      for (const line of box.querySelectorAll("tr[data-quantity]")) {
        const values = numbers(line.dataset.quantity, ...at);
        for (const cell of line.querySelectorAll("td")) cell.textContent = values[cell.dataset.is];
        told.push(`${line.querySelector("th").textContent.trim()}: ` +
          Object.entries(values).map(([name, value]) => `${name} ${value}`).join(", "));
      }
      if (aloud) said.textContent = told.join("; ");
    }
    for (const area of areas) {
      const point = (event) => {
        const frame = area.getBoundingClientRect();
        move(column((event.clientX - frame.left) / frame.width),
          Math.floor(((event.clientY - frame.top) / frame.height) * rows), false);
      };
      area.addEventListener("pointermove", point);
      area.addEventListener("pointerdown", point);
    }
    const KEYS = {
      ArrowLeft: () => [at[0] - 1, at[1]], ArrowRight: () => [at[0] + 1, at[1]],
      ArrowUp: () => [at[0], at[1] - 1], ArrowDown: () => [at[0], at[1] + 1],
      Home: () => [0, at[1]], End: () => [columns - 1, at[1]], Enter: () => start,
    };
    surface.tabIndex = 0;
    surface.addEventListener("keydown", (event) => {
      if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      move(...KEYS[event.key](), true);
    });
    box.querySelector(".hint").hidden = false;
  }

  const unpackedAll = (series) => Object.fromEntries(Object.entries(series).map(([quantity, arrays]) =>
    [quantity, Object.fromEntries(Object.entries(arrays).map(([name, array]) => [name, unpacked(array)]))]));

  for (const box of document.querySelectorAll("figure[data-curves]")) {
    const { steps: count, series } = data.curves[box.dataset.curves];
    const curves = unpackedAll(series);
    const nearest = (steps, step) =>
      steps.reduce((best, own, index) => (Math.abs(own - step) < Math.abs(steps[best] - step) ? index : best), 0);
    const lines = box.querySelectorAll("line.cursor");
    follow(box, {
      columns: count, rows: 1, start: [0, 0], areas: box.querySelectorAll(".surface"),
      column: (share) => Math.round(share * (count - 1)),
      mark(step) {
        const percent = `${count > 1 ? (100 * step) / (count - 1) : 0}%`;
        for (const line of lines) { line.setAttribute("x1", percent); line.setAttribute("x2", percent); }
      },
      numbers(quantity, step) {
        const { steps, errors, bounds } = curves[quantity];
        const index = nearest(steps, step);
        return { step: steps[index], error: figure(errors[index]), bound: figure(bounds[index]),
          ratio: figure(errors[index] === 0 ? 0 : errors[index] / bounds[index], 2) };
      },
    });
  }

  for (const box of document.querySelectorAll("figure[data-map]")) {
    const { columns, rows, span, start, series } = data.maps[box.dataset.map];
    const maps = unpackedAll(series);
    const marks = box.querySelectorAll(".map");
    follow(box, {
      columns, rows, start, areas: marks, column: (share) => Math.floor(share * columns),
      mark(column, row) {
        for (const map of marks) {
          const [v, u] = map.querySelectorAll("i");
          v.style.left = `${(100 * (column + 0.5)) / columns}%`;
          u.style.top = `${(100 * (row + 0.5)) / rows}%`;
        }
      },
      numbers(quantity, column, row) {
        const { values0, values1, offsets } = maps[quantity];
        const cell = column * rows + row;
        const offset = offsets ? offsets[cell] : 0;
        const step = column * span[0] + Math.floor(offset / span[1]);
        const unit = row * span[1] + (offset % span[1]);
        const told = { step, unit, value0: figure(values0[cell], 7) };
        if (values1) {
          told.value1 = figure(values1[cell], 7);
          told.value2 = signed(values1[cell] - values0[cell]);
        }
        return told;
      },
    });
  }
  document.documentElement.dataset.ready = "1";
})();
