// Clicks against conversions: all that the sliders can reach, its front, and where they stand.
import { asCount } from "./format.js";

const SIZE = { width: 480, height: 320 };
const EDGE = { left: 64, right: 18, top: 18, bottom: 44 };

/** Draw what can be reached, and return a function that moves the current point. */
export function drawChart(svg, { cloud, front, description }) {
  const x = scale(cloud.map((p) => p.clicks), EDGE.left, SIZE.width - EDGE.right);
  const y = scale(cloud.map((p) => p.conversions), SIZE.height - EDGE.bottom, EDGE.top);
  svg.setAttribute("viewBox", `0 0 ${SIZE.width} ${SIZE.height}`);
  const current = make("circle", { class: "current", r: 8 });
  svg.replaceChildren(
    ...axis(x, "clicks"),
    ...axis(y, "conversions"),
    ...cloud.map((p) => make("circle", { class: "reachable", cx: x(p.clicks), cy: y(p.conversions), r: 2 })),
    make("polyline", { class: "front", points: front.map((p) => `${x(p.clicks)},${y(p.conversions)}`).join(" ") }),
    text("end", x(front.at(-1).clicks), y(front.at(-1).conversions) + 20, "clicks alone", "end"),
    text("end", x(front[0].clicks) + 10, y(front[0].conversions) - 6, "conversions alone", "start"),
    current,
  );
  return (point) => {
    current.setAttribute("cx", x(point.clicks));
    current.setAttribute("cy", y(point.conversions));
    description.textContent =
      `The front goes from ${asPair(front[0])} to ${asPair(front.at(-1))}. The sliders are at ${asPair(point)}.`;
  };
}

const asPair = (p) => `${asCount(p.clicks)} clicks and ${asCount(p.conversions)} conversions`;

// A linear map of the values to pixels, with a margin of a twentieth.
function scale(values, start, end) {
  const low = Math.min(...values);
  const high = Math.max(...values);
  const margin = (high - low || 1) / 20;
  const map = (value) => start + ((value - low + margin) / (high - low + 2 * margin)) * (end - start);
  map.ticks = ticks(low, high);
  return map;
}

// About four round numbers between the ends.
function ticks(low, high) {
  const rough = (high - low || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

function axis(map, name) {
  const bottom = SIZE.height - EDGE.bottom;
  const right = SIZE.width - EDGE.right;
  if (name === "clicks") {
    return [
      ...map.ticks.map((value) => line(map(value), EDGE.top, map(value), bottom)),
      ...map.ticks.map((value) => text("tick", map(value), bottom + 16, asCount(value), "middle")),
      text("title", (EDGE.left + right) / 2, SIZE.height - 8, "clicks per page", "middle"),
    ];
  }
  const title = text("title", 0, 0, "conversions per page", "middle");
  title.setAttribute("transform", `translate(13 ${(EDGE.top + bottom) / 2}) rotate(-90)`);
  return [
    ...map.ticks.map((value) => line(EDGE.left, map(value), right, map(value))),
    ...map.ticks.map((value) => text("tick", EDGE.left - 6, map(value) + 4, asCount(value), "end")),
    title,
  ];
}

const line = (x1, y1, x2, y2) => make("line", { class: "grid", x1, y1, x2, y2 });

function text(className, x, y, content, anchor) {
  const made = make("text", { class: className, x, y, "text-anchor": anchor });
  made.textContent = content;
  return made;
}

function make(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
