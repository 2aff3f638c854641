const SHOWN_SIDE = 1024;
const UNKNOWN = { name: "", color: [255, 45, 120] };
const byId = (id) => document.getElementById(id);
const segmentUrl = `v1/models/${encodeURIComponent(settings.name)}:segment`;
const sampleButtons = [...document.querySelectorAll("[data-sample]")];
let shown = null;
let running = null;

class Told extends Error {}

function scaled(picture, factor) {
  return [picture.width, picture.height].map((side) => Math.max(1, Math.floor(side * Math.min(1, factor))));
}

function drawnOn(picture, [width, height], smooth) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, width, height);
  return canvas;
}

// What the server takes is sent as it is; pictures of other kinds, and larger ones, are encoded anew.
async function prepared(file) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Told(`${file.name || "This"} is no picture that this browser can read.`);
  }
  const pixels = picture.width * picture.height;
  const fits = pixels <= settings.maxPixels && file.size <= settings.maxBytes;
  if (fits && ["image/jpeg", "image/png"].includes(file.type)) return [picture, file];
  const factor = Math.min(Math.sqrt(settings.maxPixels / pixels), Math.sqrt(settings.maxBytes / file.size));
  const canvas = drawnOn(picture, scaled(picture, factor), true);
  return [picture, await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 })];
}

async function answered(body, signal) {
  let answer;
  try {
    answer = await fetch(`${segmentUrl}?output=json`, { method: "POST", body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Told("The server does not answer. Is it still running?");
  }
  const content = await answer.json().catch(() => null);
  if (content === null) throw new Told(`The server answered with status ${answer.status}, and nothing this page can read.`);
  if (!answer.ok) throw new Told(content.error);
  return content;
}

async function layersOf(content, size) {
  const bytes = Uint8Array.from(atob(content.mask_png_bytes.b64), (character) => character.charCodeAt(0));
  const ids = await createImageBitmap(new Blob([bytes], { type: "image/png" }), { colorSpaceConversion: "none" });
  const mask = drawnOn(ids, size, false);
  const tint = new OffscreenCanvas(...size);
  const colored = mask.getContext("2d").getImageData(0, 0, ...size);
  const tinted = new ImageData(...size);
  for (let at = 0; at < colored.data.length; at += 4) {
    const { name, color } = content.classes[colored.data[at]] ?? UNKNOWN;
    colored.data.set(color, at);
    if (name !== settings.untinted) tinted.data.set([...color, 255], at);
  }
  mask.getContext("2d").putImageData(colored, 0, 0);
  tint.getContext("2d").putImageData(tinted, 0, 0);
  return { mask, tint };
}

function draw() {
  if (!shown) return;
  const { picture, mask, tint, size } = shown;
  const opacity = Number(byId("opacity").value);
  byId("opacity-value").value = `${opacity} %`;
  const views = { image: [[picture, 1]], mask: [[mask, 1]], overlay: [[picture, 1], [tint, opacity / 100]] };
  for (const [id, layers] of Object.entries(views)) {
    const canvas = byId(id);
    [canvas.width, canvas.height] = size;
    const context = canvas.getContext("2d");
    for (const [layer, alpha] of layers) {
      context.globalAlpha = alpha;
      context.drawImage(layer, 0, 0, ...size);
    }
  }
}

function line(label, value, color) {
  const row = document.createElement("tr");
  const cells = [document.createElement(color ? "td" : "th"), document.createElement("td")];
  if (color) {
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = `rgb(${color})`;
    cells[0].append(swatch);
  } else {
    cells[0].scope = "row";
  }
  cells[0].append(label);
  cells[1].append(value);
  cells[1].className = "number";
  row.append(...cells);
  return row;
}

function tell(content, seconds) {
  const milliseconds = (value) => `${(1000 * value).toFixed(value < 0.01 ? 1 : 0)} ms`;
  byId("classes").replaceChildren(
    ...content.classes.map(({ name, color, share }) => line(name, `${(100 * share).toFixed(1)} %`, color)),
  );
  byId("facts").replaceChildren(
    line("model", milliseconds(content.seconds.model)),
    line("server, model and waiting included", milliseconds(content.seconds.total)),
    line("in all", milliseconds(seconds)),
    line("size", `${content.width} × ${content.height}`),
    line("version", content.version),
  );
  byId("version").textContent = content.version;
}

async function segment(file) {
  running?.abort();
  const own = (running = new AbortController());
  byId("error").hidden = true;
  byId("busy").hidden = false;
  try {
    const [picture, body] = await prepared(file);
    const started = performance.now();
    const content = await answered(body, own.signal);
    const seconds = (performance.now() - started) / 1000;
    const size = scaled(picture, SHOWN_SIDE / Math.max(picture.width, picture.height));
    const layers = await layersOf(content, size);
    if (running !== own) return;
    shown = { picture, size, ...layers };
    draw();
    tell(content, seconds);
    byId("result").hidden = false;
    byId("result").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (running !== own) return;
    byId("error").textContent = error instanceof Told ? error.message : `This page failed: ${error.message}`;
    byId("error").hidden = false;
    byId("result").hidden = true;
  } finally {
    if (running === own) byId("busy").hidden = true;
  }
}

function take(files, sample = null) {
  if (!files?.length) return;
  for (const button of sampleButtons) button.setAttribute("aria-pressed", String(button === sample));
  segment(files[0]);
}

byId("choose").addEventListener("click", () => byId("file").click());
byId("file").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});
byId("opacity").addEventListener("input", draw);
for (const button of sampleButtons) {
  button.addEventListener("click", async () => {
    const sample = await fetch(button.dataset.sample).catch(() => null);
    take([sample?.ok ? await sample.blob() : new Blob([])], button);
  });
}
document.addEventListener("paste", (event) => take(event.clipboardData?.files));
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  take(event.dataTransfer?.files);
});
byId("curl").textContent =
  `curl --data-binary @photo.jpg '${new URL(segmentUrl, location.href)}?output=overlay' -o overlay.png`;
