"use strict";

// The form is drawn from openapi.json, so this page knows nothing of the model that a caller does not know too.

const $ = (id) => document.getElementById(id);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const kindOf = (field) => [].concat(field.type || "string").find((kind) => kind !== "null");
const nullable = (field) => [].concat(field.type).includes("null") || (field.enum || []).includes(null);

function control(name, field) {
  const example = (field.examples || [])[0];
  const choices = field.enum || (kindOf(field) === "boolean" ? [true, false] : null);
  if (choices) {
    const options = choices.filter((choice) => choice !== null);
    const select = element("select", {}, ...options.map((choice) => element("option", { value: String(choice), textContent: String(choice) })));
    if (nullable(field)) select.prepend(element("option", { value: "", textContent: "(null)" }));
    select.value = example === null || example === undefined ? "" : String(example);
    return select;
  }
  const input = element("input", { type: "text", value: example === null || example === undefined ? "" : String(example) });
  if (["number", "integer"].includes(kindOf(field))) input.inputMode = "decimal";
  if (nullable(field)) input.placeholder = "null";
  return input;
}

function hint(field) {
  const parts = [kindOf(field) + (field.format ? `, ${field.format}` : "")];
  if (field.minimum > -1e30 || field.maximum < 1e30) parts.push(`${field.minimum} to ${field.maximum}`);
  if (nullable(field)) parts.push("empty means null");
  return [field.description, parts.join("; ")].filter(Boolean).join(" · ");
}

function draw(fields) {
  const form = $("form");
  for (const [index, [name, field]] of Object.entries(fields).entries()) {
    const input = control(name, field);
    const known = field["x-known-values"];
    Object.assign(input, { id: `field-${index}`, name });
    input.setAttribute("aria-describedby", `hint-${index}`);
    const box = element("div", { className: "field" },
      element("label", { htmlFor: input.id, textContent: name }), input,
      element("small", { id: `hint-${index}`, textContent: hint(field) }),
      element("small", { id: `fault-${index}`, className: "fault" }));
    if (known) {
      input.setAttribute("list", `known-${index}`);
      box.append(element("datalist", { id: `known-${index}` }, ...known.map((value) => element("option", { value }))));
    }
    form.append(box);
  }
  form.append(element("button", { type: "submit", textContent: "Predict" }));
}

// What cannot be read as the field's type is sent as it was typed: the server's answer is what this page is for.
function valueOf(text, field) {
  if (text === "" && nullable(field)) return null;
  const kind = kindOf(field);
  if (kind === "boolean") return text === "true";
  if (kind === "number" || kind === "integer") return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
  return text;
}

function record(fields) {
  const found = {};
  for (const [index, [name, field]] of Object.entries(fields).entries()) found[name] = valueOf($(`field-${index}`).value, field);
  return found;
}

function showCurl(body) {
  const quoted = JSON.stringify(body).replaceAll("'", "'\\''");
  const url = new URL("predict", location.href);
  $("curl").textContent = `curl ${url} \\\n  -H 'Content-Type: application/json' \\\n  -d '${quoted}'`;
}

function show(fields, status, answer) {
  const names = Object.keys(fields);
  names.forEach((_, index) => { $(`fault-${index}`).textContent = ""; });
  for (const error of answer.errors || []) {
    const place = names.indexOf(error.field);
    if (place >= 0) $(`fault-${place}`).textContent = error.message;
  }
  if (status === 200) {
    const value = answer.classes
      ? answer.classes.map((label, index) => `${label}: ${answer.predictions[0][index].toFixed(4)}`).join(", ")
      : String(Number(answer.predictions[0].toPrecision(6)));
    $("answer").replaceChildren(
      element("p", { className: "value", textContent: value }),
      element("p", { className: "quiet", textContent: `${answer.output}, answered by ${answer.release} (${answer.bundle})` }));
  } else {
    $("answer").replaceChildren(element("p", { className: "refused", textContent: `${status}: ${answer.detail || "no answer"}` }));
  }
  $("raw").textContent = JSON.stringify(answer, null, 2);
}

async function ask(fields) {
  const body = record(fields);
  showCurl(body);
  try {
    const response = await fetch("predict", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    show(fields, response.status, await response.json());
  } catch (error) {
    show(fields, "no answer", { detail: String(error) });
  }
}

async function main() {
  const api = await (await fetch("openapi.json")).json();
  if (!api.components) {
    $("question").textContent = api.detail;
    return;
  }
  const fields = api.components.schemas.Record.properties;
  document.title = $("title").textContent = api.info.title;
  $("question").textContent = api.info.description;
  $("release").textContent = `version ${api.info.version}, bundle ${api.info["x-slipway-bundle"].slice(0, 19)}`;
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      $("paths").append(element("tr", {}, element("td", {}, element("code", { textContent: `${method.toUpperCase()} ${path}` })), element("td", { textContent: operation.summary })));
    }
  }
  draw(fields);
  showCurl(record(fields));
  $("form").addEventListener("submit", (event) => { event.preventDefault(); ask(fields); });
}

main();
