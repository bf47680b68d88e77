// Whether the page is live, and the numbers below the picture.

const state = document.getElementById("state");
const notice = document.getElementById("notice");
const main = document.querySelector("main");
const QUIET_S = 2;

// What the page says in each state: a word in the corner, and a sentence over the picture.
const STATES = {
  connecting: ["Connecting", "Connecting"],
  live: ["Live", ""],
  paused: ["Paused", "Paused"],
  waiting: ["Waiting", "Waiting for a frame"],
  lost: ["Source lost", "The source was lost. It is opened again as soon as it can be reached."],
  ended: ["Ended", "The stream has ended."],
  gone: ["Not connected", "The page is not connected. It tries again every few seconds."],
};
const LOST_FOR_GOOD = "The source was lost and did not come back.";

export function showState(name, sentence = STATES[name][1]) {
  setText(state, STATES[name][0]);
  state.dataset.state = name;
  setText(notice, sentence);
  notice.hidden = !sentence;
  main.toggleAttribute("data-still", Boolean(sentence));
}

// The state that a message reports.
export function showStateOf({ state, ends, quiet_s: quiet }) {
  if (ends) showState("ended", state === "lost" ? LOST_FOR_GOOD : undefined);
  else if (state === "reconnecting" || state === "lost") showState("lost");
  else if (state === "paused") showState("waiting", "The stream is paused.");
  else if (quiet >= QUIET_S) showState("waiting", `No frame for ${Math.round(quiet)} s`);
  else showState("live");
}

export function showNumbers({ fps, dropped, frames, ms, viewers }) {
  setText(document.getElementById("fps"), fps.toFixed(1));
  setText(document.getElementById("dropped"), String(dropped));
  setText(document.getElementById("frames"), String(frames + dropped));
  setText(document.getElementById("ms"), fps > 0 ? ms.toFixed(1) : "–");
  setText(document.getElementById("viewers"), String(viewers));
  setText(document.getElementById("viewers-unit"), viewers === 1 ? "viewer" : "viewers");
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
