function main(context, previousState, previousProperties) {
  updateState({ target: (previousState.target || 65) - 10 });
}
