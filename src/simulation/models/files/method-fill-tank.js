function main(context, previousState, previousProperties) {
  updateState({ fuellevel: 70 });
}
