function main(context, previousState, previousProperties) {
  updateState({ moving: true });
}
