// Uploads by raw body, progress by polling. Text from the service goes into textContent only.
"use strict";

const at = (id) => document.getElementById(id);

async function problemOf(answer) {
  try {
    const body = await answer.json();
    return body.detail || body.title;
  } catch {
    return `the service answered ${answer.status}`;
  }
}

function say(text, alarm = false) {
  const said = at("said");
  said.textContent = text;
  said.classList.toggle("alarm", alarm);
}

// fetch tells nothing about how much was sent; this does.
function send(file, address, onSent) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => event.lengthComputable && onSent(event.loaded / event.total);
    request.onerror = () => reject(new Error("the service cannot be reached, or ended the upload"));
    request.onload = () => {
      let body = {};
      try { body = JSON.parse(request.responseText); } catch { /* said below */ }
      if (request.status === 202) resolve(body);
      else reject(new Error(body.detail || body.title || `the service answered ${request.status}`));
    };
    request.send(file);
  });
}

function uploads() {
  const form = at("upload");
  if (!form) return;
  const drop = at("drop"), input = at("file"), reference = at("reference"), bar = at("sent");
  for (const kind of ["dragenter", "dragover"]) {
    drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      form.requestSubmit();
    }
  });
  if (reference) reference.addEventListener("change", () => { input.required = !reference.value; });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const asked = new URLSearchParams();
    for (const name of ["model", "commit"]) if (at(name).value.trim()) asked.set(name, at(name).value.trim());
    at("send").disabled = true;
    try {
      let check;
      const file = input.files[0];
      if (file) {
        if (file.size > Number(form.dataset.limit)) throw new Error("this file is larger than the service takes");
        asked.set("file", file.name);
        bar.hidden = false;
        say(`Sending ${file.name}`);
        check = await send(file, `/v1/checks?${asked}`, (share) => { bar.value = share; });
      } else {
        const answer = await fetch(`/v1/checks?${asked}`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ reference: reference.value }),
        });
        if (!answer.ok) throw new Error(await problemOf(answer));
        check = await answer.json();
      }
      location.assign(`/checks/${encodeURIComponent(check.id)}`);
    } catch (error) {
      bar.hidden = true;
      say(`Not accepted: ${error.message}`, true);
      at("send").disabled = false;
    }
  });
}

function follow() {
  const live = at("live");
  if (!live) return;
  const address = `/v1/checks/${encodeURIComponent(live.dataset.check)}`;
  const state = at("state"), bar = at("progress");
  let wait = 300;
  async function look() {
    try {
      const answer = await fetch(address, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(await problemOf(answer));
      const check = await answer.json();
      if (check.status !== "queued" && check.status !== "running") {
        location.reload();
        return;
      }
      const done = check.progress;
      state.textContent = check.status === "queued" ? "Waiting for a worker" : `Being checked${done ? `: ${done.stage}` : ""}`;
      if (done && done.total > 0) bar.value = Math.min(1, done.done / done.total);
      else bar.removeAttribute("value");
      wait = Math.min(2000, wait * 1.1);
    } catch {
      state.textContent = "The service does not answer; trying again";
      wait = 2000;
    }
    setTimeout(look, wait);
  }
  look();
  at("cancel").addEventListener("click", async () => {
    at("cancel").disabled = true;
    await fetch(`${address}/cancel`, { method: "POST" });
    location.reload();
  });
}

function removal() {
  const button = at("delete");
  if (!button) return;
  let sure = false;
  button.addEventListener("click", async () => {
    if (!sure) {
      sure = true;
      button.textContent = "Delete it with its report?";
      return;
    }
    const answer = await fetch(`/v1/checks/${encodeURIComponent(button.dataset.check)}`, { method: "DELETE" });
    if (answer.ok) location.assign("/");
    else say(await problemOf(answer), true);
  });
}

uploads();
follow();
removal();
