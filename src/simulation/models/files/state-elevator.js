// An elevator of a house with 15 floors: a floor up or down a run, unless it was stopped.
var state = { online: true, floor: 1, vibration: 10.0, vibration_unit: "mm", temperature: 75.0, temperature_unit: "F", direction: "up", moving: true };
var floors = 15;

function vary(average, percentage, least, most) {
  var value = average * (1 + (percentage / 100) * (2 * Math.random() - 1));
  return Math.max(least, Math.min(most, value));
}

function main(context, previousState, previousProperties) {
  if (previousState) state = previousState;
  if (state.moving) {
    if (state.floor >= floors) state.direction = "down";
    if (state.floor <= 1) state.direction = "up";
    state.floor += state.direction === "up" ? 1 : -1;
  }
  state.vibration = state.moving ? vary(10, 5, 0, 20) : 0;
  state.temperature = vary(75, 1, 25, 100);
  updateState(state);
}
