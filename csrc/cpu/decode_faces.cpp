#include "lanes.h"

namespace fer_edge {
namespace FER_EDGE_TARGET {

int find_cells(const float* logits, int count, float limit, int32_t* cells) {
    int found = 0, i = 0;
    // Almost no block contains a face, so one comparison skips most blocks.
    for (; i <= count - kLanes; i += kLanes) {
        if (!any_at_least(logits + i, limit)) continue;
        for (int k = i; k < i + kLanes; ++k)
            if (logits[k] >= limit) cells[found++] = k;
    }
    for (; i < count; ++i)
        if (logits[i] >= limit) cells[found++] = i;
    return found;
}

int keep_distinct(const Boxes& boxes, float overlap, int32_t* dropped, int32_t* kept) {
    int keeping = 0;
    for (int i = 0; i < boxes.count; ++i) dropped[i] = 0;
    for (int best = 0; best < boxes.count; ++best) {
        if (dropped[best]) continue;
        kept[keeping++] = best;
        const float left = boxes.left[best], top = boxes.top[best], area = boxes.area[best];
        const float right = boxes.right[best], bottom = boxes.bottom[best];
        // Without a branch, so that the compiler can vectorize the loop.
        for (int i = best + 1; i < boxes.count; ++i) {
            const float width = (right < boxes.right[i] ? right : boxes.right[i]) -
                                (left > boxes.left[i] ? left : boxes.left[i]);
            const float height = (bottom < boxes.bottom[i] ? bottom : boxes.bottom[i]) -
                                 (top > boxes.top[i] ? top : boxes.top[i]);
            const float shared = (width > 0 ? width : 0) * (height > 0 ? height : 0);
            dropped[i] |= shared > overlap * (area + boxes.area[i] - shared);
        }
    }
    return keeping;
}

}  // namespace FER_EDGE_TARGET
}  // namespace fer_edge
