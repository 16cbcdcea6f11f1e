// One order out of several objectives, and what it is worth. Nothing here knows of the page.

const TINY = 1.1754943508222875e-38; // the smallest normal float of 32 bits, as in rank_score

/** P(click)^α · P(conversion)^β · price^γ: `rank_score` with the weights α and β, times a power of the price. */
export function rankScore({ click, conversion, price }, [alpha, beta, gamma]) {
  const log = (p) => Math.log(Math.max(p, TINY));
  return Math.exp(alpha * log(click) + beta * log(conversion) + gamma * Math.log(price));
}

/** The candidates from best to worst; those with equal scores keep their order. */
export function ranked(candidates, exponents) {
  return candidates
    .map((candidate) => ({ candidate, score: rankScore(candidate, exponents) }))
    .sort((a, b) => b.score - a.score);
}

/** Expected clicks, conversions and sales of a page, the mean over all visits. */
export function worth(visits, exponents, pageSize) {
  const total = { clicks: 0, conversions: 0, sales: 0 };
  for (const candidates of visits) {
    for (const { candidate } of ranked(candidates, exponents).slice(0, pageSize)) {
      total.clicks += candidate.click / visits.length;
      total.conversions += candidate.conversion / visits.length;
      total.sales += candidate.value / visits.length;
    }
  }
  return total;
}

/** The worth of all proportions of three exponents: only these decide about an order. */
export function reachable(visits, pageSize, steps = 20) {
  const points = [];
  for (let a = 0; a <= steps; a++) {
    for (let b = 0; a + b <= steps; b++) {
      const exponents = [a, b, steps - a - b].map((part) => part / steps);
      points.push({ exponents, ...worth(visits, exponents, pageSize) });
    }
  }
  return points;
}

/** The points that no other one beats in clicks and conversions, from few clicks to many. */
export function paretoFront(points) {
  const falling = [...points].sort((a, b) => b.clicks - a.clicks || b.conversions - a.conversions);
  const front = [];
  for (const point of falling) {
    if (!front.length || point.conversions > front.at(-1).conversions) front.push(point);
  }
  return front.reverse();
}
