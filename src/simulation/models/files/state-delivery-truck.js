// A delivery truck: drives its round, a point of it a run, forth and back, and starts anywhere on it.
var state = { online: true, latitude: 47.620433, longitude: -122.350987, altitude: 12.0, altitude_unit: "m", speed: 30.0, speed_unit: "mph", temperature: 38.0, temperature_unit: "F" };

// North and east of the start in thousandths of a degree, and metres above the sea.
var round = [[0, 0, 12], [2, 1, 14], [4, 3, 19], [6, 6, 25], [7, 10, 31], [8, 14, 36], [10, 17, 40], [13, 19, 43], [16, 20, 46], [19, 22, 44], [21, 25, 39],
  [22, 29, 33], [24, 32, 28], [27, 34, 24], [30, 35, 20], [33, 37, 17], [35, 40, 15], [36, 44, 14], [38, 47, 12], [41, 48, 11]];

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
  if (moved(previousProperties) || state.place === undefined) {
    state.home_latitude = state.latitude;
    state.home_longitude = state.longitude;
    state.place = Math.floor(Math.random() * round.length);
    state.step = 1;
    state.cargo = 38;
  }
  if (state.place + state.step < 0 || state.place + state.step >= round.length) state.step = -state.step;
  state.place += state.step;
  state.latitude = state.home_latitude + round[state.place][0] / 1000;
  state.longitude = state.home_longitude + round[state.place][1] / 1000;
  state.altitude = round[state.place][2];
  state.speed = vary(30, 5, 0, 80);
  state.temperature = vary(state.cargo, 1, 30, 60);
  tell();
}
