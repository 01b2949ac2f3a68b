/** A ray-traced sphere on a quad that faces the eye, with its charge ring and alarm ring. */
export const SPHERE_VERTEX = `
precision highp float;
in vec3 position;
in vec4 sphere;
in vec4 look;
uniform mat4 modelViewMatrix;
uniform mat4 projectionMatrix;
uniform float pixels;
uniform float scale;
out vec3 vPoint;
out vec2 vLocal;
flat out vec3 vCentre;
flat out vec4 vLook;
flat out vec4 vSize;

void main() {
  vec3 centre = (modelViewMatrix * vec4(sphere.xyz, 1.0)).xyz;
  float d = length(centre);
  float r = sphere.w * scale * mod(look.w, 128.0) / 64.0;
  float edge = r * d / sqrt(max(d * d - r * r, 1e-8));
  float px = d / pixels;
  vec3 w = -centre / d;
  vec3 u = normalize(cross(vec3(0.0, 1.0, 0.0), w));
  vec3 v = cross(w, u);
  float bare = edge > 4.0 * px ? edge * 1.2 + 4.5 * px : edge + 1.5 * px;
  float reach = mod(look.y, 4.0) > 0.5 ? edge * 1.5 + 9.0 * px : bare;
  vLocal = position.xy * reach;
  vPoint = centre + u * vLocal.x + v * vLocal.y;
  vCentre = centre;
  vLook = look;
  vSize = vec4(r, edge, px, d);
  gl_Position = projectionMatrix * vec4(vPoint, 1.0);
}`;

export const SPHERE_FRAGMENT = `
precision highp float;
in vec3 vPoint;
in vec2 vLocal;
flat in vec3 vCentre;
flat in vec4 vLook;
flat in vec4 vSize;
uniform mat4 projectionMatrix;
uniform vec3 steel[3];
uniform vec3 depths[5];
uniform vec3 ramp[10];
uniform vec3 background;
uniform vec3 arcColour;
uniform vec3 trackColour;
uniform vec3 alarmColour;
uniform vec3 infoColour;
uniform vec3 glowColour;
uniform float pulse;
uniform float beat;
out vec4 colour;

const float TAU = 6.28318530718;

bool flag(float bits, float bit) { return mod(floor(bits / bit), 2.0) > 0.5; }

float band(float rho, float inner, float outer, float px) {
  return clamp((rho - inner) / px + 0.5, 0.0, 1.0) * clamp((outer - rho) / px + 0.5, 0.0, 1.0);
}

vec3 surface(vec3 n, vec3 eye, float tint) {
  vec3 lit = steel[0], mid = steel[1], shade = steel[2];
  if (tint > 7.5) {
    float at = (tint - 8.0) / 247.0 * 9.0;
    vec3 hue = mix(ramp[int(at)], ramp[min(int(at) + 1, 9)], fract(at));
    lit = mix(hue, vec3(1.0), 0.28);
    mid = hue;
    shade = hue * 0.62;
  } else if (tint > 0.5 && tint < 5.5) {
    vec3 hue = depths[int(tint) - 1];
    lit = mix(hue, vec3(1.0), 0.45);
    mid = hue * 0.86;
    shade = hue * 0.30;
  }
  float light = dot(n, normalize(vec3(-0.46, 0.56, 0.69)));
  float k = clamp(0.5 + 0.5 * light, 0.0, 1.0);
  vec3 c = k < 0.62 ? mix(shade, mid, smoothstep(0.05, 0.62, k)) : mix(mid, lit, pow((k - 0.62) / 0.38, 2.4));
  return c * mix(0.80, 1.0, smoothstep(0.0, 0.5, dot(n, eye)));
}

void main() {
  float r = vSize.x, edge = vSize.y, px = vSize.z;
  float rho = length(vLocal);
  float bits = vLook.y;
  float alarm = mod(bits, 4.0);
  float small = smoothstep(4.0, 7.0, edge / px);
  float gap = max(edge * 0.13, 2.0 * px);
  float thick = max(edge * 0.05, 1.9 * px);
  float inner = edge + gap, outer = inner + thick;
  bool plain = flag(bits, 64.0);

  float body = clamp((edge - rho) / px + 0.5, 0.0, 1.0);
  vec3 ray = normalize(vPoint);
  float along = dot(ray, vCentre);
  float inside = max(r * r - (vSize.w * vSize.w - along * along), 0.0);
  vec3 hit = ray * (along - sqrt(inside));
  vec3 n = (hit - vCentre) / r;
  vec3 c = surface(n, -ray, vLook.z);
  if (vLook.z > 5.5 && vLook.z < 6.5) c = mix(c, steel[2], step(0.5, fract((vLocal.x + vLocal.y) / max(edge * 0.4, 4.0 * px))));
  if (flag(bits, 16.0)) c = mix(c, vec3(1.0), 0.16);
  if (flag(bits, 8.0)) c = mix(c, glowColour, 0.10 + 0.80 * pow(clamp(rho / edge, 0.0, 1.0), 6.0));
  if (flag(bits, 32.0)) c = mix(c, vec3(1.0), 0.35 * pulse);

  float ring = plain ? 0.0 : band(rho, inner, outer, px) * small;
  float turn = fract(atan(vLocal.x, vLocal.y) / TAU);
  bool unknown = vLook.x > 250.0;
  float soc = vLook.x / 250.0;
  float soft = px / (TAU * max(rho, px));
  float filled = unknown ? 0.0 : clamp((soc - turn) / soft + 0.5, 0.0, 1.0);
  if (soc <= 0.0) filled = 0.0;
  if (unknown) ring *= step(0.5, fract(turn * 24.0));
  vec3 ringColour = mix(trackColour, arcColour, filled);

  float near = plain || small < 0.5 ? edge + gap : outer + max(edge * 0.07, 1.5 * px);
  float wide = alarm > 2.5 ? max(edge * 0.075, 3.0 * px) : max(edge * 0.03, 1.5 * px);
  float warn = alarm > 0.5 ? band(rho, near, near + wide, px) : 0.0;
  if (alarm > 0.5 && alarm < 1.5) warn *= step(0.4, fract(turn * 20.0));
  float second = near + wide + max(edge * 0.05, 1.5 * px);
  if (alarm > 2.5) warn = max(warn, band(rho, second, second + max(edge * 0.03, 1.3 * px), px));
  if (vLook.w > 127.5) warn *= mix(0.3, 1.0, beat);

  float alpha = max(body, max(ring, warn));
  if (alpha < 0.02) discard;
  vec3 shown = body >= max(ring, warn) ? c : ring >= warn ? ringColour : alarm < 1.5 ? infoColour : alarmColour;
  if (flag(bits, 4.0)) shown = mix(background, shown, 0.55);
  if (flag(bits, 128.0)) shown = mix(background, shown, 0.22);
  vec4 clip = projectionMatrix * vec4(body > 0.0 ? hit : vPoint, 1.0);
  gl_FragDepth = 0.5 * clip.z / clip.w + 0.5;
  colour = vec4(shown, alpha);
}`;

/** A thick line between two points, with dashes that run the way of the power. */
export const LINE_VERTEX = `
precision highp float;
in vec3 position;
in vec3 start;
in vec3 finish;
in vec4 paint;
in vec4 spark;
uniform mat4 modelViewMatrix;
uniform mat4 projectionMatrix;
uniform vec2 viewport;
uniform float ratio;
uniform float scale;
uniform float still;
out float vAlong;
out float vSide;
flat out vec4 vPaint;
flat out float vWidth;

float lineWidth(float kind, float strength) {
  if (kind > 4.5) return 1.6;
  if (kind > 3.5) return 1.0;
  if (kind < 0.5 || kind > 2.5) return 1.2;
  return max(mix(1.3, 5.0, strength), still * 5.0);
}

void main() {
  float NEAR = -0.2 * scale;
  vec3 a = (modelViewMatrix * vec4(start, 1.0)).xyz;
  vec3 b = (modelViewMatrix * vec4(finish, 1.0)).xyz;
  if (paint.x > 4.5) {
    a.xy += spark.xy * scale;
    b.xy += spark.zw * scale;
  }
  float length3 = distance(a, b) / scale;
  float from = 0.0, to = 1.0;
  if (a.z > NEAR && b.z < NEAR) from = (NEAR - a.z) / (b.z - a.z);
  if (b.z > NEAR && a.z < NEAR) to = (NEAR - a.z) / (b.z - a.z);
  vec4 p = projectionMatrix * vec4(mix(a, b, from), 1.0);
  vec4 q = projectionMatrix * vec4(mix(a, b, to), 1.0);
  vec2 way = (q.xy / q.w - p.xy / p.w) * viewport;
  bool speck = paint.x < 3.5 && length(way) < 3.0 * ratio;
  way = length(way) > 1e-4 ? normalize(way) : vec2(1.0, 0.0);
  float w = (lineWidth(paint.x, paint.y / 255.0) + 1.0) * ratio;
  vec4 here = position.x < 0.5 ? p : q;
  here.xy += vec2(-way.y, way.x) * position.y * w / viewport * here.w;
  vAlong = mix(from, to, position.x) * length3;
  vSide = position.y * w * 0.5;
  vWidth = w - ratio;
  vPaint = paint;
  gl_Position = speck || (a.z > NEAR && b.z > NEAR) ? vec4(2.0, 2.0, 2.0, 1.0) : here;
}`;

export const LINE_FRAGMENT = `
precision highp float;
in float vAlong;
in float vSide;
flat in vec4 vPaint;
flat in float vWidth;
uniform vec3 charge[2];
uniform vec3 discharge[2];
uniform vec3 idleColour;
uniform vec3 orbitColour;
uniform vec3 sparkColour;
uniform float period;
uniform float flow;
uniform float crowd;
uniform float still;
uniform float ratio;
out vec4 colour;

float dash(float way, float gradient) {
  float x = (vAlong - way * flow) / period;
  if (still > 0.5) x += way * abs(vSide) * gradient;
  float soft = max(gradient, 1e-4);
  float f = abs(fract(x) - 0.5);
  float on = clamp((f - 0.27) / soft + 0.5, 0.0, 1.0);
  return mix(on, 0.46, smoothstep(0.15, 0.4, gradient));
}

void main() {
  float kind = vPaint.x, strength = vPaint.y / 255.0;
  float cover = clamp((0.5 * vWidth - abs(vSide)) / ratio + 0.5, 0.0, 1.0);
  float gradient = fwidth(vAlong / period);
  vec3 c = idleColour;
  float alpha = 0.34;
  if (kind > 4.5) {
    c = sparkColour;
    alpha = strength;
  } else if (kind > 3.5) {
    c = orbitColour;
    alpha = 0.62;
  } else if (kind > 2.5) {
    alpha = 0.42 * dash(0.0, gradient);
  } else if (kind > 0.5) {
    bool out_ = kind > 1.5;
    c = out_ ? mix(discharge[0], discharge[1], strength) : mix(charge[0], charge[1], strength);
    float strong = mix(0.75, 1.0, strength);
    alpha = mix(0.34, strong, dash(out_ ? -1.0 : 1.0, gradient));
  }
  if (kind < 3.5) alpha *= crowd;
  if (mod(vPaint.z, 2.0) > 0.5) alpha *= 0.55;
  if (vPaint.z > 1.5) alpha *= 0.22;
  if (vPaint.w > 0.5) alpha = min(1.0, alpha * 1.5);
  colour = vec4(c, alpha * cover);
}`;
