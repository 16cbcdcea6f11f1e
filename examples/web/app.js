// The page: it scores all candidates once, and ranks them again whenever a slider moves.
import { drawChart } from "./chart.js";
import { asCount, asEuros } from "./format.js";
import { showRanking } from "./list.js";
import { openModel } from "./model.js";
import { paretoFront, ranked, reachable, worth } from "./ranking.js";

const PAGE_SIZE = 5;
const byId = (id) => document.getElementById(id);
const sliders = ["clicks", "conversions", "price"].map(byId);
const presets = [...document.querySelectorAll("button[data-exponents]")];

async function start() {
  const shop = await fetchJson("shop.json");
  const model = await openModel(new URL("model.onnx", import.meta.url), shop.columns);
  const visits = await scored(shop, model);
  const cloud = reachable(visits, PAGE_SIZE);
  const movePoint = drawChart(byId("chart"), { cloud, front: paretoFront(cloud), description: byId("chart-text") });
  show(shop, visits, cloud, movePoint);
}

async function fetchJson(name) {
  const answer = await fetch(new URL(name, import.meta.url));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return answer.json();
}

/** For each visit its candidates, with what the model says of them. */
async function scored(shop, model) {
  const rows = shop.visitors.flatMap((visitor, i) => shop.candidates[i].map((j) => ({ ...visitor, ...shop.items[j] })));
  const { marginals, conditionals } = await model.score(rows);
  const candidates = rows.map(({ item_id, kind, price }, i) => {
    const [click, conversion] = marginals[i];
    const name = `${kind} ${item_id}`;
    const afterClick = conditionals[i][1];
    return { id: String(item_id), name, price, click, conversion, afterClick, value: conversion * price };
  });
  const n = shop.candidates[0].length;
  return shop.visitors.map((_, i) => candidates.slice(i * n, (i + 1) * n));
}

function show(shop, visits, cloud, movePoint) {
  const best = Object.fromEntries(WORTHS.map(([name]) => [name, Math.max(...cloud.map((point) => point[name]))]));
  const visitor = byId("visitor");
  visitor.replaceChildren(...shop.visitors.map((traits, i) => new Option(described(traits), i)));

  function update() {
    const exponents = sliders.map((slider) => slider.valueAsNumber);
    const candidates = visits[visitor.value];
    const ranking = ranked(candidates, exponents);
    const total = worth(visits, exponents, PAGE_SIZE);
    sliders.forEach((slider, i) => (slider.labels[0].querySelector(".exponent").textContent = asCount(exponents[i])));
    presets.forEach((button) => (button.ariaPressed = String(isSame(exponentsOf(button), exponents))));
    showRanking(byId("ranking"), ranking, { pageSize: PAGE_SIZE, longest: longestOf(candidates) });
    showWorth(total, best);
    movePoint(total);
    announce(exponents.some(Boolean) ? summary(ranking, total) : "All three exponents are 0: the order says nothing.");
  }

  sliders.forEach((slider) => slider.addEventListener("input", update));
  visitor.addEventListener("change", update);
  for (const button of presets) {
    button.addEventListener("click", () => {
      exponentsOf(button).forEach((exponent, i) => (sliders[i].value = exponent));
      update();
    });
  }
  byId("controls").disabled = false;
  update();
}

const WORTHS = [["clicks", asCount], ["conversions", asCount], ["sales", asEuros]];

function showWorth(total, best) {
  for (const [name, format] of WORTHS) {
    byId(`total-${name}`).textContent = format(total[name]);
    byId(`share-${name}`).textContent = `${Math.round((100 * total[name]) / best[name])} % of best`;
  }
}

const described = ({ user_id, age, device, hour }) =>
  `Visitor ${user_id}: ${age === null ? "age unknown" : `${age} years`}, ${device}, ${hour}:00`;
const exponentsOf = (button) => button.dataset.exponents.split(" ").map(Number);
const isSame = (a, b) => a.every((value, i) => value === b[i]);
const longestOf = (candidates) => ({
  click: Math.max(...candidates.map((c) => c.click)),
  afterClick: Math.max(...candidates.map((c) => c.afterClick)),
});
const summary = ([first], { clicks, conversions, sales }) =>
  `${first.candidate.name} is first. A page brings ${asCount(clicks)} clicks, ${asCount(conversions)} conversions ` +
  `and ${asEuros(sales)}.`;

let waiting;

/** Screen readers hear where a movement has ended, not each step of it. */
function announce(sentence) {
  clearTimeout(waiting);
  waiting = setTimeout(() => (byId("status").textContent = sentence), 400);
}

start().catch((error) => {
  byId("status").textContent = "";
  byId("failure").textContent = `The page cannot be shown: ${error.message}`;
  byId("failure").hidden = false;
  console.error(error);
});
