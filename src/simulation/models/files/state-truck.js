// A truck with cold cargo. It drives around where it began, within a few miles; `cargo` is what the cooling holds.
var state = { online: true, latitude: 47.445301, longitude: -122.296307, speed: 30.0, speed_unit: "mph", temperature: 38.0, temperature_unit: "F" };

function vary(average, percentage, least, most) {
  var value = average * (1 + (percentage / 100) * (2 * Math.random() - 1));
  return Math.max(least, Math.min(most, value));
}

function within(value, middle, reach) {
  return Math.max(middle - reach, Math.min(middle + reach, value));
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
  if (moved(previousProperties) || state.home_latitude === undefined) {
    state.home_latitude = state.latitude;
    state.home_longitude = state.longitude;
    state.heading = 2 * Math.PI * Math.random();
    state.cargo = 38;
  }
  state.heading += (Math.random() - 0.5) * 0.8;
  state.speed = vary(30, 5, 0, 80);
  var degrees = (state.speed / 3600 * 10) / 69;
  state.latitude = within(state.latitude + degrees * Math.sin(state.heading), state.home_latitude, 0.1);
  state.longitude = within(state.longitude + degrees * Math.cos(state.heading), state.home_longitude, 0.1);
  state.temperature = vary(state.cargo, 1, 30, 60);
  tell();
}
