// The rows of the Fleet page; what all tables of packs share comes before it (`table.js` above).
const PLAIN = ["name", "about", "safety", "alarms", "power", "unit", "way", "charge", "health",
  "cell", "why", "heat", "limits", "reason", "age", "missing", "icon", "arrow"];

const PACKS = {
  name: "o-fleet",
  row: "o-pk",
  make(part) {
    const { row } = part;
    [part.name, part.about] = pair(row, "nmc");
    part.name.classList.add("nm");
    const [safety, alarms] = pair(row, "saf");
    part.icon = icon(safety);
    part.safety = make("span", "", safety);
    part.safetyBox = safety;
    part.alarms = alarms;
    const [power, way] = pair(row, "pow");
    part.power = make("span", "", power);
    part.unit = make("span", "o-un", power);
    part.arrow = icon(way);
    part.way = make("span", "", way);
    const [charge, health] = pair(row, "chg");
    charge.classList.add("o-soc");
    part.bar = make("div", "", make("span", "b", charge));
    part.charge = make("span", "num", charge);
    part.health = health;
    [part.cell, part.why] = pair(row, "cel");
    [part.heat] = pair(row, "tmp");
    [part.limits, part.reason] = pair(row, "lim");
    [part.age, part.missing] = pair(row, "agc");
  },
  fill(part, line, data) {
    for (const name of PLAIN) put(part[name], line[name]);
    part.reason.title = line.reason;
    part.health.title = line.health;
    const tier = line.tier > 1 ? ` t${line.tier}` : "";
    const name = `o-row o-pk${line.old ? " old" : ""}${tier}`;
    if (part.row.className !== name) part.row.className = name;
    part.row.style.setProperty("--c", `var(--o-${line.hue})`);
    part.row.setAttribute("aria-pressed", String(line.id === data.chosen));
    part.safetyBox.className = line.trip ? "a o-pill o-t3" : "a";
    part.bar.style.width = `${line.soc === null ? 0 : Math.min(Math.max(line.soc, 0), 100)}%`;
  },
};

// On a narrow window the opened pack stands above the rows: go there once it is drawn.
function goToPanel(frames) {
  const panel = document.querySelector(".st-key-panel_pack");
  if (panel !== null) panel.scrollIntoView({ block: "start" });
  else if (frames > 0) requestAnimationFrame(() => goToPanel(frames - 1));
}

export default function fleet(host) {
  const root = table(host, PACKS);
  const { chosen } = host.data;
  if (root.chosen !== chosen && chosen && innerWidth <= 1000) goToPanel(180);
  root.chosen = chosen;
}
