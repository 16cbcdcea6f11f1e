// The ranking, as a table whose rows move to their new places.
import { asEuros, asShare } from "./format.js";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Show the ranked candidates; `longest` are the probabilities that fill a bar. */
export function showRanking(body, ranking, { pageSize, longest }) {
  const rows = new Map([...body.rows].map((row) => [row.dataset.item, row]));
  const before = new Map([...rows].map(([item, row]) => [item, row.offsetTop]));
  const order = ranking.map(({ candidate }) => rows.get(candidate.id) ?? newRow(candidate, longest));
  body.replaceChildren(...order);
  order.forEach((row, i) => {
    row.cells[0].textContent = i + 1;
    row.classList.toggle("hidden-from-visitor", i >= pageSize);
    const moved = before.get(row.dataset.item) - row.offsetTop;
    if (moved && !calm.matches) {
      const path = [{ transform: `translateY(${moved}px)` }, { transform: "none" }];
      row.animate(path, { duration: 300, easing: "ease-out" });
    }
  });
}

function newRow(candidate, longest) {
  const row = document.createElement("tr");
  row.dataset.item = candidate.id;
  row.append(
    cell("td", "rank"),
    cell("th", "item", span("kind", candidate.name), span("price", asEuros(candidate.price))),
    bar("click", candidate.click, longest.click),
    bar("conversion", candidate.afterClick, longest.afterClick),
    cell("td", "value", asEuros(candidate.value)),
  );
  row.cells[1].scope = "row";
  return row;
}

function bar(kind, probability, longest) {
  const filled = span("fill");
  filled.style.inlineSize = `${(100 * probability) / longest}%`;
  const track = span("track", filled);
  track.ariaHidden = "true";
  return cell("td", `bar ${kind}`, span("number", asShare(probability)), track);
}

function cell(tag, className, ...content) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...content);
  return made;
}

const span = (className, ...content) => cell("span", className, ...content);
