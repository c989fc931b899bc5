// Orthogonal transforms of keys and queries: (T q) . (T k) = q . k, so attention needs no inverse.
#pragma once

#include <complex>
#include <vector>

namespace kvasir {

// x[n] := H x with the normalised Walsh-Hadamard matrix of the largest power of two that divides n,
// block by block. Its own inverse.
void WalshHadamard(float* x, int n);

// The discrete Fourier transform of n real numbers as n real numbers (half of the spectrum, which
// has all of it), scaled so that it is orthogonal:
//   y[0] = X_0 / sqrt(n),  y[2k - 1], y[2k] = sqrt(2 / n) (Re X_k, Im X_k),  y[n - 1] = X_{n/2} /
//   sqrt(n)
// with X_k = sum_j x_j exp(-2 pi i j k / n). n log n for powers of two; factors that are odd cost
// their square. Immutable once made.
class RealFourier {
 public:
  explicit RealFourier(int n);  // REQUIRES: n even, positive
  int n() const { return n_; }
  void Forward(const float* x, float* y) const;  // y may be x
  void Inverse(const float* y, float* x) const;  // x may be y

 private:
  using Complex = std::complex<float>;
  void Transform(const Complex* in, int stride, int m, Complex* out) const;

  int n_;
  std::vector<Complex> roots_;  // exp(-2 pi i k / n)
};

}  // namespace kvasir
