// From city to city in a straight line. Now and then the cooling fails for a minute, and tanks are filled where there is a city.
var cities = [[47.61, -122.33], [45.52, -122.68], [43.62, -116.21], [47.66, -117.43], [37.77, -122.42], [39.53, -119.81], [40.76, -111.89], [36.17, -115.14], [34.05, -118.24], [46.87, -113.99], [45.78, -108.5], [39.74, -104.99], [33.45, -112.07]];
var STEP = 0.12; // degrees

function any() {
  return cities[Math.floor(Math.random() * cities.length)];
}

function main(context, previousState, previousProperties) {
  var state = previousState;
  if (state.to_latitude === undefined) {
    var home = any();
    var first = any();
    state.latitude = home[0];
    state.longitude = home[1];
    state.to_latitude = first[0];
    state.to_longitude = first[1];
    state.fuel = 15 + 80 * Math.random();
    state.warm = 0;
  }
  var north = state.to_latitude - state.latitude;
  var east = state.to_longitude - state.longitude;
  var far = Math.sqrt(north * north + east * east);
  if (far <= STEP) {
    var next = any();
    state.latitude = state.to_latitude;
    state.longitude = state.to_longitude;
    state.to_latitude = next[0];
    state.to_longitude = next[1];
    state.fuel = 100;
    state.speed = 0;
  } else {
    state.latitude += (STEP * north) / far;
    state.longitude += (STEP * east) / far;
    state.fuel = Math.max(2, state.fuel - 0.5);
    state.speed = 55 + 12 * (2 * Math.random() - 1);
  }
  if (state.warm > 0) state.warm--;
  else if (Math.random() < 0.03) state.warm = 12;
  state.temperature += (state.warm > 0 ? 1.5 : (38 - state.temperature) * 0.3) + (Math.random() - 0.5);
  updateState(state);
  updateProperty("Latitude", state.latitude);
  updateProperty("Longitude", state.longitude);
}
