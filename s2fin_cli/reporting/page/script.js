"use strict";
document.documentElement.classList.add("js");
const find = (selector) => document.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/* layers: which are shown, how opaque the upper one is, how far it reaches, and the zoom */
const drawing = find("#drawing");
if (drawing) {
  const [width, height] = ["width", "height"].map((name) => Number(drawing.dataset[name]));
  const across = Number(drawing.dataset.metres);
  const view = { x: 0, y: 0, zoom: 1 };
  const [over, wipe, opacity, handle, frame] = ["#over", "#wipe", "#opacity", "#handle", ".frame"].map(find);
  const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
  const nice = (most) => {
    const power = 10 ** Math.floor(Math.log10(most));
    return [5, 2, 1, 0.5].map((step) => step * power).find((step) => step <= most);
  };
  const draw = () => {
    const [w, h] = [width / view.zoom, height / view.zoom];
    view.x = clamp(view.x, 0, width - w);
    view.y = clamp(view.y, 0, height - h);
    drawing.setAttribute("viewBox", `${view.x} ${view.y} ${w} ${h}`);
    frame.classList.toggle("grab", view.zoom > 1);
    const edge = view.x + (w * Number(wipe.value)) / 100;
    find("#reach").setAttribute("width", edge);
    for (const name of ["x1", "x2"]) find("#edge").setAttribute(name, edge);
    find("#edge").setAttribute("visibility", Number(wipe.value) < 100 ? "visible" : "hidden");
    over.setAttribute("opacity", Number(opacity.value) / 100);
    const place = drawing.getScreenCTM();
    const half = handle.offsetWidth / 2;
    const left = place.a * edge + place.e - frame.getBoundingClientRect().left - frame.clientLeft;
    handle.style.left = `${clamp(left, half, frame.clientWidth - half)}px`;
    if (across && find("#bar")) {
      const metres = nice((0.4 * across) / view.zoom);
      find("#bar").setAttribute("width", (metres * view.zoom * 100) / across / 0.4);
      find("#length").textContent = metres >= 1000 ? `${metres / 1000} km` : `${metres} m`;
    }
  };
  /* a place of the screen in units of the drawing */
  const placed = (event) => {
    const place = drawing.getScreenCTM();
    return [(event.clientX - place.e) / place.a, (event.clientY - place.f) / place.d];
  };
  const zoom = (factor, at = [view.x + width / view.zoom / 2, view.y + height / view.zoom / 2]) => {
    const next = clamp(view.zoom * factor, 1, 16);
    view.x = at[0] - ((at[0] - view.x) * view.zoom) / next;
    view.y = at[1] - ((at[1] - view.y) * view.zoom) / next;
    view.zoom = next;
    draw();
  };
  const pan = (right, down) => {
    view.x += right;
    view.y += down;
    draw();
  };
  /* what is held with a pointer follows it; gives the drawing's place before and after each move */
  const drag = (element, isOn, moved) => {
    let held = null;
    element.addEventListener("pointerdown", (event) => {
      if (!isOn()) return;
      event.preventDefault();
      held = placed(event);
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointermove", (event) => { if (held) held = moved(held, placed(event), event); });
    for (const name of ["pointerup", "pointercancel"]) element.addEventListener(name, () => { held = null; });
  };
  drag(drawing, () => view.zoom > 1, (before, now, event) => {
    pan(before[0] - now[0], before[1] - now[1]);
    return placed(event);
  });
  drag(handle, () => true, (before, now) => {
    wipe.value = clamp(Number(wipe.value) + ((now[0] - before[0]) * view.zoom * 100) / width, 0, 100);
    draw();
    return now;
  });
  find("#nearer").addEventListener("click", () => zoom(2));
  find("#farther").addEventListener("click", () => zoom(0.5));
  find("#whole").addEventListener("click", () => zoom(1 / 16));
  for (const slider of [opacity, wipe]) slider.addEventListener("input", draw);
  addEventListener("resize", draw);
  drawing.addEventListener("dblclick", (event) => zoom(2, placed(event)));
  drawing.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 1.25 : 0.8, placed(event));
  }, { passive: false });
  drawing.tabIndex = 0;
  drawing.addEventListener("keydown", (event) => {
    const step = width / view.zoom / 10;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (event.key in moves && view.zoom > 1) pan(...moves[event.key]);
    else if (event.key === "+") zoom(2);
    else if (event.key === "-") zoom(0.5);
    else return;
    event.preventDefault();
  });
  for (const input of all(".thumbs input")) {
    input.addEventListener("change", () => find(`#${input.name}`).setAttribute("href", `#picture-${input.value}`));
  }
  draw();
}

/* classes: the palette of a PNG says which colours are transparent, so a switch rewrites that chunk of it */
const crc = (bytes) => {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
};
const withAlpha = (source, alpha) => {
  const bytes = Uint8Array.from(atob(source.split(",")[1]), (character) => character.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const parts = [bytes.subarray(0, 8)];
  for (let at = 8; at < bytes.length;) {
    const end = at + view.getUint32(at) + 12;
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (name !== "tRNS") parts.push(bytes.subarray(at, end));
    if (name === "PLTE") {
      const body = Uint8Array.of(...[..."tRNS"].map((letter) => letter.charCodeAt(0)), ...alpha);
      const [size, sum] = [new Uint8Array(4), new Uint8Array(4)];
      new DataView(size.buffer).setUint32(0, alpha.length);
      new DataView(sum.buffer).setUint32(0, crc(body));
      parts.push(size, body, sum);
    }
    at = end;
  }
  let text = "";
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 8192) text += String.fromCharCode(...part.subarray(at, at + 8192));
  }
  return `data:image/png;base64,${btoa(text)}`;
};
const pictures = all("image[data-classes]").map((image) => [image, image.getAttribute("href"), image.dataset.classes.split(" ")]);
const switches = all(".legend input");
const redraw = () => {
  const off = new Set(switches.filter((input) => !input.checked).map((input) => input.value));
  for (const [image, source, classes] of pictures) {
    image.setAttribute("href", off.size ? withAlpha(source, [0, ...classes.map((id) => (off.has(id) ? 0 : 255))]) : source);
  }
};
for (const input of switches) input.addEventListener("change", redraw);
for (const button of all(".legend .both button")) {
  button.addEventListener("click", () => {
    for (const input of switches) input.checked = button.value === "all";
    redraw();
  });
}

/* tables: sorted by a column */
for (const table of all("table.sorted")) {
  all("thead th", table).forEach((head, column) => {
    if (!head.textContent.trim() || head.classList.contains("plain")) return;
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "descending";
      const key = (row) => {
        const data = row.cells[column].querySelector("data");
        return data ? Number(data.value) : row.cells[column].textContent.trim().toLowerCase();
      };
      const rank = (value) => (typeof value === "number" ? value : value === "–" ? -Infinity : value);
      const rows = all("tbody tr", table).sort((a, b) => {
        const [one, other] = [rank(key(a)), rank(key(b))];
        return (one < other ? -1 : one > other ? 1 : 0) * (down ? 1 : -1);
      });
      for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "ascending" : "descending");
      table.tBodies[0].append(...rows);
    });
  });
}
