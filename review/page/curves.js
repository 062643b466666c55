// The outline of a class's probability, with as many steps as there are pixels at most.

const MANY = 300; // steps, beyond which their outline is a pixel wide each and drawn as such

// The steps in sight of a class's probability, [x, y, width] from the left; null where there is none.
export function stepsOf(review, view, lane, top, tall) {
  const curve = review.curves?.byClass.get(lane.name);
  if (!curve) return null;
  const { times, values } = level(review.curves, curve, view), steps = [];
  let clip = firstAt(times, view.from), x = view.x(times[clip]);
  while (clip < values.length && x < view.width) {
    let highest = values[clip], end = view.x(times[clip + 1]);
    while (end < x + 1 && clip + 1 < values.length) { // several to a pixel: the highest is shown
      clip += 1;
      highest = Math.max(highest, values[clip]);
      end = view.x(times[clip + 1]);
    }
    steps.push([x, top + tall * (1 - highest), end - x]);
    x = end;
    clip += 1;
  }
  return steps;
}

export function fillSteps(context, steps, bottom) {
  for (const [x, y, width] of steps) {
    const left = Math.round(x), right = Math.round(x + width);
    context.fillRect(left, y, right - left, bottom - y);
  }
}

export function outlineSteps(context, steps) {
  if (steps.length > MANY) {
    for (const [x, y, width] of steps) context.fillRect(Math.round(x), y - 0.5, Math.max(1, Math.round(width)), 1);
    return;
  }
  context.beginPath();
  for (const [x, y, width] of steps) {
    context.lineTo(x, y);
    context.lineTo(x + width, y);
  }
  context.stroke();
}

const coarser = new WeakMap(); // of each curve: itself, the highest of each four clips, of sixteen, ...

// The coarsest version of a curve that still has a value to each pixel.
function level({ borders }, curve, view) {
  if (!coarser.has(curve)) {
    const levels = [{ times: borders.map((seconds) => seconds * 1000), values: curve }];
    while (levels.at(-1).values.length > 256) levels.push(fourfold(levels.at(-1)));
    coarser.set(curve, levels);
  }
  const levels = coarser.get(curve), inSight = curve.length * view.span / (view.duration || 1);
  const depth = Math.floor(Math.log(Math.max(1, inSight / view.width)) / Math.log(4));
  return levels[Math.min(depth, levels.length - 1)];
}

function fourfold({ times, values }) {
  const count = Math.ceil(values.length / 4), highest = new Float32Array(count), borders = new Float32Array(count + 1);
  for (let place = 0; place < values.length; place += 1) highest[place >> 2] = Math.max(highest[place >> 2], values[place]);
  for (let place = 0; place <= count; place += 1) borders[place] = times[Math.min(4 * place, values.length)];
  return { times: borders, values: highest };
}

function firstAt(times, time) {
  let low = 0, high = times.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time) low = middle; else high = middle - 1;
  }
  return low;
}
