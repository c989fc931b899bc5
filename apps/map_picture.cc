// The layers x positions picture: a row of cells for every KV head, layers apart by a line.
#include <png.h>

#include <algorithm>

#include "inspect.h"
#include "whole_file.h"

namespace kvasir::cli {
namespace {

constexpr int kMaxCells = 1536;  // cells a row; a cell then stands for several positions
constexpr int kMargin = 8;       // pixels around the picture

struct Rgb {
  uint8_t r, g, b;
};
constexpr Rgb kDropped = {238, 241, 245}, kKept = {20, 82, 160};

uint8_t Blend(uint8_t from, uint8_t to, double share) {
  return static_cast<uint8_t>(from + (to - from) * share + 0.5);
}

// A cell of which only a little is held must not look empty: shares begin at a quarter.
Rgb ColourOf(double share) {
  if (share <= 0) return kDropped;
  const double s = 0.25 + 0.75 * share;
  return {Blend(kDropped.r, kKept.r, s), Blend(kDropped.g, kKept.g, s),
          Blend(kDropped.b, kKept.b, s)};
}

class Canvas {
 public:
  Canvas(int width, int height)
      : width_(width), height_(height), rgb_(static_cast<size_t>(width) * height * 3, 255) {}
  void Fill(int x, int y, int w, int h, Rgb colour) {
    for (int row = y; row < y + h; ++row) {
      for (int column = x; column < x + w; ++column) {
        uint8_t* pixel = &rgb_[(static_cast<size_t>(row) * width_ + column) * 3];
        pixel[0] = colour.r;
        pixel[1] = colour.g;
        pixel[2] = colour.b;
      }
    }
  }
  int width() const { return width_; }
  int height() const { return height_; }
  const std::vector<uint8_t>& rgb() const { return rgb_; }

 private:
  int width_, height_;
  std::vector<uint8_t> rgb_;
};

Canvas Paint(const CacheMap& map) {
  const auto n_rows = static_cast<int>(map.positions.size());
  const int n_cells = static_cast<int>(std::clamp<int64_t>(map.n_tokens, 1, kMaxCells));
  const int cell_width = std::max(1, kMaxCells / 2 / n_cells);
  const int cell_height = std::clamp(900 / std::max(n_rows, 1), 2, 14);
  Canvas canvas(2 * kMargin + n_cells * cell_width,
                2 * kMargin + n_rows * cell_height + (map.n_layers - 1) * 2);
  int y = kMargin;
  for (int row = 0; row < n_rows; ++row) {
    if (row > 0 && row % map.n_kv_heads == 0) y += 2;  // the gap between layers
    for (int cell = 0; cell < n_cells; ++cell) {
      const int64_t first = map.n_tokens * cell / n_cells;
      const int64_t end = map.n_tokens * (cell + 1) / n_cells;
      canvas.Fill(kMargin + cell * cell_width, y, cell_width, cell_height - (cell_height > 4),
                  ColourOf(map.Share(row, first, end)));
    }
    y += cell_height;
  }
  return canvas;
}

}  // namespace

double CacheMap::Share(size_t row, int64_t first, int64_t end) const {
  const std::vector<int32_t>& held = positions[row];
  const auto low = std::lower_bound(held.begin(), held.end(), first);
  const auto high = std::lower_bound(low, held.end(), end);
  return end > first ? static_cast<double>(high - low) / static_cast<double>(end - first) : 0;
}

Status WritePng(const std::string& path, int width, int height, const std::vector<uint8_t>& rgb) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t n_bytes = 0;
  if (png_image_write_to_memory(&image, nullptr, &n_bytes, 0, rgb.data(), 0, nullptr) == 0) {
    return Fail("{}: {}", path, image.message);
  }
  std::string bytes(n_bytes, '\0');
  if (png_image_write_to_memory(&image, bytes.data(), &n_bytes, 0, rgb.data(), 0, nullptr) == 0) {
    return Fail("{}: {}", path, image.message);
  }
  return WriteWhole(path, std::string_view(bytes).substr(0, n_bytes));
}

Status DrawMap(const CacheMap& map, const std::string& path) {
  if (path.ends_with(".html")) return WriteWhole(path, MapHtml(map));
  const Canvas canvas = Paint(map);
  return WritePng(path, canvas.width(), canvas.height(), canvas.rgb());
}

}  // namespace kvasir::cli
