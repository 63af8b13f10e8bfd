// A chiller: what it measures stays near its set points; EmergencyValveRelease and IncreasePressure switch `simulation_state`.
var state = { online: true, temperature: 75.0, temperature_unit: "F", humidity: 70.0, humidity_unit: "%", pressure: 150.0, pressure_unit: "psig", simulation_state: "normal_pressure" };

function vary(average, percentage, least, most) {
  var value = average * (1 + (percentage / 100) * (2 * Math.random() - 1));
  return Math.max(least, Math.min(most, value));
}

function main(context, previousState, previousProperties) {
  if (previousState) state = previousState;
  state.temperature = vary(75, 5, 25, 100);
  state.humidity = vary(70, 5, 2, 99);
  state.pressure = state.simulation_state === "high_pressure" ? vary(250, 25, 50, 300) : vary(150, 10, 50, 300);
  updateState(state);
}
