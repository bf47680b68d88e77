// Puts the parts of the page together.

import { Connection } from "./connection.js";
import { Events } from "./events.js";
import { Faces } from "./faces.js";
import { describePicture, showPicture } from "./picture.js";
import { showNumbers, showState, showStateOf } from "./status.js";

const NUMBERS_EVERY_MS = 500;

let faces = null;
let events = null;
let isPaused = false;
let hasEnded = false;
let lastNumbers = 0;

const connection = new Connection({
  begin({ source, labels, window_s: windowSeconds }) {
    document.getElementById("source").textContent = source;
    document.title = `${source} - fer-edge`;
    events?.close();
    faces = new Faces(labels, windowSeconds);
    events = new Events(labels);
    hasEnded = false;
  },
  async show(fields, jpeg) {
    if (jpeg) await showPicture(jpeg);
    hasEnded = fields.ends;
    faces.update(fields);
    events.add(fields.events);
    if (!isPaused || hasEnded) showStateOf(fields);
    // Numbers that change with each frame cannot be read.
    if (performance.now() - lastNumbers >= NUMBERS_EVERY_MS) {
      lastNumbers = performance.now();
      showNumbers(fields);
      if (fields.faces) describePicture(fields.faces);
    }
  },
  lose() {
    if (!hasEnded) showState("gone");
  },
});

const pause = document.getElementById("pause");
pause.addEventListener("click", () => {
  isPaused = !isPaused;
  pause.textContent = isPaused ? "Resume" : "Pause";
  if (isPaused) showState("paused", "");
  connection.isPaused = isPaused;
});

const enlarge = document.getElementById("enlarge");
enlarge.hidden = !document.fullscreenEnabled;
enlarge.addEventListener("click", () => document.getElementById("frame").requestFullscreen());

connection.open();
