// The last minute of one face: the height of a colour is the probability of its expression. It is empty where
// the face was not seen; a grey bar below marks where its label should not be trusted.

const BAR_PX = 5;
const GAP_PX = 2;
const GREY = "#b9b9b9";

export class Timeline {
  #samples = []; // [seconds, percentages, abstains]

  constructor(canvas, labels, windowSeconds) {
    Object.assign(this, { canvas, labels, windowSeconds });
  }

  add(seconds, percentages, abstains) {
    this.#samples.push([seconds, percentages, abstains]);
  }

  get lastSeconds() {
    return this.#samples.length ? this.#samples[this.#samples.length - 1][0] : -Infinity;
  }

  // holdSeconds: how long a sample is shown if no other follows.
  draw(now, holdSeconds) {
    const from = now - this.windowSeconds;
    while (this.#samples.length && this.#samples[0][0] < from) this.#samples.shift();
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * scale);
    const height = Math.round(this.canvas.clientHeight * scale);
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    const context = this.canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    const rows = height - Math.round((BAR_PX + GAP_PX) * scale);
    this.#samples.forEach(([seconds, percentages, abstains], index) => {
      const next = index + 1 < this.#samples.length ? this.#samples[index + 1][0] : now;
      const left = Math.round(((seconds - from) / this.windowSeconds) * width);
      const right = Math.round(((Math.min(next, seconds + holdSeconds) - from) / this.windowSeconds) * width);
      this.#drawColumn(context, left, right - left, rows, percentages);
      if (abstains) {
        context.fillStyle = GREY;
        context.fillRect(left, height - Math.round(BAR_PX * scale), right - left, height);
      }
    });
  }

  #drawColumn(context, left, width, rows, percentages) {
    const total = percentages.reduce((sum, value) => sum + value, 0) || 1;
    let sum = 0;
    let bottom = rows;
    percentages.forEach((value, index) => {
      sum += value;
      const top = Math.round(rows * (1 - sum / total));
      context.fillStyle = this.labels[index].colour;
      context.fillRect(left, top, width, bottom - top);
      bottom = top;
    });
  }

  // The expressions that filled the minute, as text.
  describe() {
    const sums = this.labels.map(() => 0);
    for (const [, percentages] of this.#samples) percentages.forEach((value, index) => (sums[index] += value));
    const total = sums.reduce((sum, value) => sum + value, 0) || 1;
    const shares = sums.map((sum, index) => [sum / total, this.labels[index].name]);
    const words = shares.filter(([share]) => share >= 0.1).sort((first, second) => second[0] - first[0]);
    return words.map(([share, name]) => `${name} ${Math.round(100 * share)}%`).join(", ");
  }
}
