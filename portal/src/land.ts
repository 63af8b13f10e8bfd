// Natural Earth's coasts and borders (public domain), as world-atlas has them: a file of its own, loaded with the first map.
import world from 'world-atlas/countries-110m.json';
import { landPaths } from './logic/map';

export const { land, borders } = landPaths(world);
