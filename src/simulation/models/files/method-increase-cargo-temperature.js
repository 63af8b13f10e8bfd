function main(context, previousState, previousProperties) {
  updateState({ cargo: 48 });
}
