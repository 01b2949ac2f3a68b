// The rows of the Digital twin; what all tables of packs share comes before it (`table.js` above).
const NAMES = ["nmc", "ver", "hea", "fad", "res", "dif", "lif", "dat"];

const PACKS = {
  name: "o-twin",
  row: "o-tw",
  make(part) {
    part.cells = NAMES.map((name) => {
      const [first, below] = pair(part.row, name);
      if (name === "nmc") first.classList.add("nm");
      if (name !== "ver") return [first, below];
      part.icon = icon(first);
      part.verdict = first.parentElement;
      return [make("span", "", first), below];
    });
  },
  fill(part, line, data) {
    part.row.classList.toggle("doubted", line.doubted);
    put(part.icon, line.icon);
    part.verdict.title = line.why;
    line.cells.forEach(([text, below], index) => {
      put(part.cells[index][0], text);
      put(part.cells[index][1], below);
      part.cells[index][1].parentElement.dataset.head = data.heads[index][1];
    });
  },
};

export default function twin(host) {
  table(host, PACKS);
}
