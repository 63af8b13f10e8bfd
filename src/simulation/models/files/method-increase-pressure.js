function main(context, previousState, previousProperties) {
  updateState({ simulation_state: "high_pressure" });
}
