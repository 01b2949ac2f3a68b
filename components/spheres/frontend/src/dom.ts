export function element(tag: string, name: string, text = ""): HTMLElement {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.textContent = text;
  return made;
}

export function button(text: string, run: () => void, name = ""): HTMLButtonElement {
  const made = element("button", name, text) as HTMLButtonElement;
  made.type = "button";
  made.addEventListener("click", run);
  return made;
}
