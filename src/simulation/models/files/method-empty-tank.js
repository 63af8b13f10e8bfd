function main(context, previousState, previousProperties) {
  updateState({ fuellevel: 3 });
}
