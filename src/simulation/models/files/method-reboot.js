// Ten seconds of silence, and everything is as at the start.
function main(context, previousState, previousProperties) {
  updateState({ online: false });
  sleep(10000);
  updateState({ online: true, simulation_state: "normal_pressure" });
}
