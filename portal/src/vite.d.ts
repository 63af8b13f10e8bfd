declare module '*.svg' {
    const url: string;
    export default url;
}
declare module '*.css';
declare module 'world-atlas/*.json' {
    const world: import('./logic/map').Topology;
    export default world;
}
