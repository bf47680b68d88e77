// Numbers and events as text.

export function percent(share) {
  return `${Math.round(100 * share)}%`;
}

// Seconds as 0:07, 1:05 or 2:01:05.
export function clockTime(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  const tail = two(whole % 60);
  return minutes < 60 ? `${minutes}:${tail}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${tail}`;
}

const EVENTS = {
  appeared: ({ id }) => `Face ${id} appeared`,
  expression_entered: ({ id, label }) => `Face ${id} shows ${label}`,
  expression_left: ({ id, label }) => `Face ${id} no longer shows ${label}`,
  disappeared: ({ id }) => `Face ${id} is gone`,
  source_lost: () => "The source was lost",
  source_back: () => "The source is back",
};

export function textOfEvent(event) {
  return EVENTS[event.kind](event);
}
