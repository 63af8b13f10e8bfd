function main(context, previousState, previousProperties) {
  updateState({ moving: false });
}
