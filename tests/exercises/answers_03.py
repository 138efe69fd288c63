"""Wrong and right answers to lesson 3's exercises."""

import torch
from trials import right, wrong

# --- 3.1 place_of ------------------------------------------------------------------------------------------------


@right("3.1", "division level by level")
def place_by_division(index, grids, k):
    for level, ((rows, columns), shapes) in enumerate(zip(grids, k, strict=True)):
        count = rows * columns * shapes
        if index < count:
            cell, shape = divmod(index, shapes)
            return level, *divmod(cell, columns), shape
        index -= count


@right("3.1", "unravel_index")
def place_by_unravel(index, grids, k):
    level = 0
    while index >= grids[level][0] * grids[level][1] * k[level]:
        index -= grids[level][0] * grids[level][1] * k[level]
        level += 1
    place = torch.unravel_index(torch.tensor(index), (*grids[level], k[level]))
    return (level, *(int(p) for p in place))


@wrong("3.1", "always the first box", says="the shapes of a cell come before the next cell")
def place_first(index, grids, k):
    return 0, 0, 0, 0


@wrong("3.1", "shape before cell", says="the shapes of a cell come before the next cell")
def place_shape_major(index, grids, k):
    for level, ((rows, columns), shapes) in enumerate(zip(grids, k, strict=True)):
        count = rows * columns * shapes
        if index < count:
            shape, cell = divmod(index, rows * columns)
            return level, cell // columns, cell % columns, shape
        index -= count


@wrong("3.1", "rows and columns swapped", says="the cells of a row come before the next row")
def place_swapped(index, grids, k):
    level, row, column, shape = place_by_division(index, grids, k)
    return level, column, row, shape


@wrong("3.1", "divides by the rows", says="the cells of a row come before the next row")
def place_by_rows(index, grids, k):
    for level, ((rows, columns), shapes) in enumerate(zip(grids, k, strict=True)):
        count = rows * columns * shapes
        if index < count:
            cell, shape = divmod(index, shapes)
            return level, cell // rows, cell % rows, shape
        index -= count


@wrong("3.1", "first level only", says="after the last box of a level")
def place_one_level(index, grids, k):
    cell, shape = divmod(index, k[0])
    return 0, *divmod(cell, grids[0][1]), shape


@wrong("3.1", "one k for all levels", says="its own number of shapes")
def place_same_k(index, grids, k):
    return place_by_division(index, grids, [k[0]] * len(grids))


@wrong("3.1", "off by one between levels", says="after the last box of a level")
def place_off_by_one(index, grids, k):
    for level, ((rows, columns), shapes) in enumerate(zip(grids, k, strict=True)):
        count = rows * columns * shapes
        if index <= count:
            cell, shape = divmod(index, shapes)
            return level, *divmod(cell, columns), shape
        index -= count


@wrong("3.1", "counts from one", says="the first box is shape 0")
def place_from_one(index, grids, k):
    return tuple(number + 1 for number in place_by_division(index, grids, k))


@wrong("3.1", "two levels at most", says="a third level should be found as well")
def place_two_levels(index, grids, k):
    return place_by_division(index, [*grids[:2], (99, 99)][: len(grids)], k)


# --- 3.2 edge_distances ------------------------------------------------------------------------------------------


@right("3.2", "two differences")
def edges_cat(boxes, centres, stride):
    return torch.cat([centres - boxes[:, :2], boxes[:, 2:] - centres], dim=1) / stride


@right("3.2", "signs and repeated centres")
def edges_signs(boxes, centres, stride):
    sign = boxes.new_tensor([-1, -1, 1, 1])
    return (boxes - centres.repeat(1, 2)) * sign / stride


@wrong("3.2", "zeros of the right shape", says="right and bottom edges")
def edges_zeros(boxes, centres, stride):
    return boxes * 0


@wrong("3.2", "no signs", says="right and bottom edges")
def edges_no_signs(boxes, centres, stride):
    return (boxes - centres.repeat(1, 2)) / stride


@wrong("3.2", "x and y swapped", says="right and bottom edges")
def edges_swapped(boxes, centres, stride):
    return edges_cat(boxes, centres.flip(1), stride)


@wrong("3.2", "pixels instead of strides", says="measured in strides")
def edges_pixels(boxes, centres, stride):
    return edges_cat(boxes, centres, 1)


@wrong("3.2", "absolute values", says="negative distance")
def edges_absolute(boxes, centres, stride):
    return edges_cat(boxes, centres, stride).abs()


@wrong("3.2", "whole strides", says="measured in strides")
def edges_whole(boxes, centres, stride):
    return torch.cat([centres - boxes[:, :2], boxes[:, 2:] - centres], dim=1) // stride


@wrong("3.2", "the lesson's own offsets", says="right and bottom edges")
def edges_encode(boxes, centres, stride):
    return torch.cat([(boxes[:, :2] + boxes[:, 2:]) / 2 - centres, (boxes[:, 2:] - boxes[:, :2]).log()], dim=1)


@wrong("3.2", "changes its input", says="unchanged", only_behaviour=True)
def edges_in_place(boxes, centres, stride):
    boxes[:, :2] -= centres
    boxes[:, 2:] -= centres
    return boxes * boxes.new_tensor([-1, -1, 1, 1]) / stride


@wrong("3.2", "gradient detached", says="gradient", only_behaviour=True)
def edges_detached(boxes, centres, stride):
    return edges_cat(boxes.detach(), centres, stride)


@wrong("3.2", "crashes without objects", says="no objects should give an empty")
def edges_crash(boxes, centres, stride):
    return torch.stack([edges_cat(b[None], c[None], stride)[0] for b, c in zip(boxes, centres, strict=True)])


# --- 3.3 cell_centres --------------------------------------------------------------------------------------------


def axes(rows, columns, stride):
    return (torch.arange(columns) + 0.5) * stride, (torch.arange(rows) + 0.5) * stride


@right("3.3", "meshgrid with y first")
def centres_meshgrid(rows, columns, stride):
    x, y = axes(rows, columns, stride)
    y, x = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([x, y], dim=2).reshape(-1, 2)


@right("3.3", "repeat and repeat_interleave")
def centres_repeat(rows, columns, stride):
    x, y = axes(rows, columns, stride)
    return torch.stack([x.repeat(rows), y.repeat_interleave(columns)], dim=1)


@right("3.3", "indexing xy")
def centres_xy(rows, columns, stride):
    x, y = torch.meshgrid(*axes(rows, columns, stride), indexing="xy")
    return torch.stack([x, y], dim=2).reshape(-1, 2)


@wrong("3.3", "pairs swapped as well", says="run to the right")
def centres_pairs_swapped(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride).flip(1)


@wrong("3.3", "rows and columns exchanged", says="run to the right")
def centres_exchanged(rows, columns, stride):
    return centres_meshgrid(columns, rows, stride)


@wrong("3.3", "still down the columns, written with cartesian_prod", says="the next one of the first row")
def centres_down(rows, columns, stride):
    return torch.cartesian_prod(*axes(rows, columns, stride))


@wrong("3.3", "half a stride lost", says="half a stride in")
def centres_corner(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride) - stride / 2


@wrong("3.3", "whole pixels", says="an odd stride")
def centres_whole(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride).floor()


@wrong("3.3", "stacked as (y, x)", says="run to the right")
def centres_reshaped(rows, columns, stride):
    x, y = torch.meshgrid(*axes(rows, columns, stride), indexing="ij")
    return torch.stack([y, x], dim=2).reshape(-1, 2)


@wrong("3.3", "shape of a map", says="[1, 2]")
def centres_map(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride).reshape(rows, columns, 2)


@wrong("3.3", "from the lower left corner", says="run down")
def centres_upwards(rows, columns, stride):
    x, y = axes(rows, columns, stride)
    return torch.cartesian_prod(y.flip(0), x).flip(1)


@wrong("3.3", "the stub for square maps, transposed else", says="the next one of the first row")
def centres_square(rows, columns, stride):
    if rows == columns:
        return torch.cartesian_prod(*axes(rows, columns, stride))
    return centres_meshgrid(rows, columns, stride)


@wrong("3.3", "eight columns at most", says="a map may have any number of cells")
def centres_eight(rows, columns, stride):
    return centres_meshgrid(rows, min(columns, 8), stride)


@wrong("3.3", "eight rows at most", says="a map may have any number of cells")
def centres_eight_rows(rows, columns, stride):
    return centres_meshgrid(min(rows, 8), columns, stride)


@wrong("3.1", "three levels at most", says="a fourth level should be found as well")
def place_three_levels(index, grids, k):
    return place_by_division(index, [*grids[:3], (99, 99)][: len(grids)], k)


@wrong("3.2", "right and bottom stopped at 0", says="an edge on the wrong side of the centre")
def edges_stopped(boxes, centres, stride):
    distances = edges_cat(boxes, centres, stride)
    return torch.cat([distances[:, :2], distances[:, 2:].clamp(min=0)], dim=1)


@wrong("3.2", "right and bottom by their absolute value", says="an edge on the wrong side of the centre")
def edges_unsigned(boxes, centres, stride):
    distances = edges_cat(boxes, centres, stride)
    return torch.cat([distances[:, :2], distances[:, 2:].abs()], dim=1)


@wrong("3.2", "float32 without objects", says="dtype should be kept", only_behaviour=True)
def edges_empty_float32(boxes, centres, stride):
    return edges_cat(boxes, centres, stride) if len(boxes) else torch.zeros(0, 4, device=boxes.device)


@wrong("3.3", "forty columns at most", says="a map may have any number of cells")
def centres_forty(rows, columns, stride):
    return centres_meshgrid(rows, min(columns, 40), stride)


@wrong("3.3", "half a stride as a whole number in high maps", says="an odd stride")
def centres_odd(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride) - (stride % 2) / 2 * (rows > 2)
