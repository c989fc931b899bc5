#include "kernels/transform.h"

#include <algorithm>
#include <cmath>

#include "base/result.h"

namespace kvasir {
namespace {

// The product without C's care for infinities, which costs a call.
std::complex<float> Mul(std::complex<float> a, std::complex<float> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

}  // namespace

void WalshHadamard(float* x, int n) {
  const int size = n & -n;
  const float scale = 1.0f / std::sqrt(static_cast<float>(size));
  for (float* block = x; block < x + n; block += size) {
    for (int half = 1; half < size; half *= 2) {
      for (int first = 0; first < size; first += 2 * half) {
        for (int i = first; i < first + half; ++i) {
          const float a = block[i], b = block[i + half];
          block[i] = a + b;
          block[i + half] = a - b;
        }
      }
    }
    for (int i = 0; i < size; ++i) block[i] *= scale;
  }
}

RealFourier::RealFourier(int n) : n_(n), roots_(n) {
  KV_CHECK(n > 0 && n % 2 == 0);
  for (int k = 0; k < n; ++k) {
    const double angle = -2 * M_PI * k / n;
    roots_[k] = {static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))};
  }
}

// out[m] of in[0], in[stride], …: halves until m is odd. REQUIRES: m divides n.
void RealFourier::Transform(const Complex* in, int stride, int m, Complex* out) const {
  const int step = n_ / m;  // from a root of one to the next
  if (m % 2 != 0) {
    for (int k = 0; k < m; ++k) {
      Complex sum = in[0];
      for (int j = 1; j < m; ++j) sum += Mul(in[j * stride], roots_[j * k % m * step]);
      out[k] = sum;
    }
    return;
  }
  const int half = m / 2;
  Transform(in, 2 * stride, half, out);
  Transform(in + stride, 2 * stride, half, out + half);
  for (int k = 0; k < half; ++k) {
    const Complex even = out[k], odd = Mul(out[half + k], roots_[k * step]);
    out[k] = even + odd;
    out[half + k] = even - odd;
  }
}

// Neighbours are transformed as the parts of a complex number, then taken apart by symmetry.
void RealFourier::Forward(const float* x, float* y) const {
  const int m = n_ / 2;
  std::vector<Complex> pairs(m), z(m + 1);
  for (int j = 0; j < m; ++j) pairs[j] = {x[2 * j], x[2 * j + 1]};
  Transform(pairs.data(), 1, m, z.data());
  z[m] = z[0];
  const float scale = std::sqrt(2.0f / static_cast<float>(n_)), edge = scale * std::sqrt(0.5f);
  for (int k = 1; k < m; ++k) {
    const Complex mirror = std::conj(z[m - k]);
    const Complex even = (z[k] + mirror) * 0.5f, odd = Mul((z[k] - mirror) * 0.5f, {0, -1});
    const Complex value = (even + Mul(odd, roots_[k])) * scale;
    y[2 * k - 1] = value.real();
    y[2 * k] = value.imag();
  }
  y[0] = (z[0].real() + z[0].imag()) * edge;
  y[n_ - 1] = (z[0].real() - z[0].imag()) * edge;
}

void RealFourier::Inverse(const float* y, float* x) const {
  const int m = n_ / 2;
  const float scale = std::sqrt(2.0f / static_cast<float>(n_));  // of sums over n / 2
  std::vector<Complex> spectrum(m + 1), pairs(m), z(m);
  spectrum[0] = y[0] * std::sqrt(2.0f);
  spectrum[m] = y[n_ - 1] * std::sqrt(2.0f);
  for (int k = 1; k < m; ++k) spectrum[k] = {y[2 * k - 1], y[2 * k]};
  for (int k = 0; k < m; ++k) {
    const Complex mirror = std::conj(spectrum[m - k]);
    const Complex even = (spectrum[k] + mirror) * 0.5f;
    const Complex odd = Mul((spectrum[k] - mirror) * 0.5f, std::conj(roots_[k]));
    pairs[k] = std::conj(even + Mul(odd, {0, 1}));  // conjugated twice: the inverse
  }
  Transform(pairs.data(), 1, m, z.data());
  for (int j = 0; j < m; ++j) {
    x[2 * j] = z[j].real() * scale;
    x[2 * j + 1] = -z[j].imag() * scale;
  }
}

}  // namespace kvasir
