// An engine: burns its fuel slowly until the tank is filled.
var state = { online: true, fuellevel: 70.0, fuellevel_unit: "Gal", coolant: 7500.0, coolant_unit: "ohm", vibration: 10.0, vibration_unit: "mm" };

function vary(average, percentage, least, most) {
  var value = average * (1 + (percentage / 100) * (2 * Math.random() - 1));
  return Math.max(least, Math.min(most, value));
}

function main(context, previousState, previousProperties) {
  if (previousState) state = previousState;
  state.fuellevel = Math.max(0, state.fuellevel - 0.05 * Math.random());
  state.coolant = vary(7500, 2, 200, 10000);
  state.vibration = vary(10, 5, 0, 20);
  updateState(state);
}
