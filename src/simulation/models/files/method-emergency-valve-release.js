function main(context, previousState, previousProperties) {
  updateState({ simulation_state: "normal_pressure" });
}
