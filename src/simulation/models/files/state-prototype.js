// A prototype: temperature and pressure near what they should be; it moves where StartMovingDevice lets it.
var state = { online: true, temperature: 65.0, temperature_unit: "F", pressure: 150.0, pressure_unit: "psig", latitude: 47.612514, longitude: -122.204184, moving: false };

function vary(average, percentage, least, most) {
  var value = average * (1 + (percentage / 100) * (2 * Math.random() - 1));
  return Math.max(least, Math.min(most, value));
}

// Where somebody has said that it is, by a desired property, it is from now on.
function moved(properties) {
  var there = properties && typeof properties.Latitude === "number" && typeof properties.Longitude === "number";
  if (!there || (properties.Latitude === state.told_latitude && properties.Longitude === state.told_longitude)) return false;
  state.latitude = properties.Latitude;
  state.longitude = properties.Longitude;
  return true;
}

function tell() {
  state.told_latitude = state.latitude;
  state.told_longitude = state.longitude;
  updateState(state);
  updateProperty("Latitude", state.latitude);
  updateProperty("Longitude", state.longitude);
}

function main(context, previousState, previousProperties) {
  if (previousState) state = previousState;
  moved(previousProperties);
  if (state.target === undefined) state.target = 65;
  state.temperature = vary(state.target, 5, 35, 100);
  state.pressure = vary(150, 10, 50, 300);
  if (state.moving) {
    state.latitude += (Math.random() - 0.5) * 0.01;
    state.longitude += (Math.random() - 0.5) * 0.01;
  }
  tell();
}
