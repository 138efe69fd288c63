"""Wrong and right answers to lesson 3's exercises."""

import bisect
import itertools

import numpy
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


# --- 3.1 again: a second, independent attack ---------------------------------------------------------------------


def counts(grids, k):
    return [rows * columns * shapes for (rows, columns), shapes in zip(grids, k, strict=True)]


@right("3.1", "all places in a list")
def place_listed(index, grids, k):
    levels = enumerate(zip(grids, k, strict=True))
    return [(i, r, c, s) for i, ((h, w), n) in levels for r in range(h) for c in range(w) for s in range(n)][index]


@right("3.1", "recursion without the first level")
def place_recursion(index, grids, k):
    first = counts(grids, k)[0]
    if index >= first:
        level, *place = place_recursion(index - first, grids[1:], k[1:])
        return level + 1, *place
    row, rest = divmod(index, grids[0][1] * k[0])
    return 0, row, rest // k[0], rest % k[0]


@right("3.1", "the level by a search in the running sums")
def place_searched(index, grids, k):
    ends = list(itertools.accumulate(counts(grids, k), initial=0))
    level = bisect.bisect_right(ends, index) - 1
    place = numpy.unravel_index(index - ends[level], (*grids[level], k[level]))
    return (level, *(int(p) for p in place))


@wrong("3.1", "the last box of a level put on the next", says="the last box of a level still belongs to it")
def place_last_on_next(index, grids, k):
    for level, ((_, columns), shapes) in enumerate(zip(grids, k, strict=True)):
        count = counts(grids, k)[level]
        if index < count - 1 or level == len(k) - 1:
            cell, shape = divmod(index, shapes)
            return level, *divmod(cell, columns), shape
        index -= count


@wrong("3.1", "the first level with the same grid", says="two levels may have equal grids")
def place_same_grid(index, grids, k):
    level, *place = place_by_division(index, grids, k)
    return grids.index(grids[level]), *place


@wrong("3.1", "down the columns", says="the cells of a row come before the next row")
def place_down(index, grids, k):
    level, row, column, shape = place_by_division(index, grids, k)
    return level, *divmod(row * grids[level][1] + column, grids[level][0])[::-1], shape


@wrong(
    "3.1", "the shape from the number in the whole list", says="within each level the count of boxes starts at 0 again"
)
def place_whole_shape(index, grids, k):
    level, row, column, _ = place_by_division(index, grids, k)
    return level, row, column, index % k[level]


@wrong("3.1", "the first level's columns on all levels", says="each level has its own number of columns")
def place_first_columns(index, grids, k):
    level, row, column, shape = place_by_division(index, grids, k)
    return level, *divmod(row * grids[level][1] + column, grids[0][1]), shape


@wrong("3.1", "the level before taken off, not all before", says="a third level should be found as well")
def place_one_off(index, grids, k):
    ends = list(itertools.accumulate(counts(grids, k)))
    level = next(i for i, end in enumerate(ends) if index < end)
    rest = index - (counts(grids, k)[level - 1] if level else 0)
    cell, shape = divmod(rest, k[level])
    return level, *divmod(cell, grids[level][1]), shape


@wrong("3.1", "nothing taken off on the level found", says="after the last box of a level comes the first of the next")
def place_nothing_off(index, grids, k):
    level = place_by_division(index, grids, k)[0]
    cell, shape = divmod(index, k[level])
    return level, *divmod(cell, grids[level][1]), shape


@wrong("3.1", "the last level first", says="after the last box of a level comes the first of the next")
def place_coarsest(index, grids, k):
    level, *place = place_by_division(index, grids[::-1], k[::-1])
    return len(k) - 1 - level, *place


@wrong("3.1", "one row of a shape after the other", says="the shapes of a cell come before the next cell")
def place_rows_of_shapes(index, grids, k):
    level, row, column, shape = place_by_division(index, grids, k)
    other_shape, other_column = divmod(column * k[level] + shape, grids[level][1])
    return level, row, other_column, other_shape


@wrong("3.1", "rows counted on from level to level", says="after the last box of a level comes the first of the next")
def place_rows_go_on(index, grids, k):
    level, row, column, shape = place_by_division(index, grids, k)
    return level, row + sum(rows for rows, _ in grids[:level]), column, shape


@wrong("3.1", "levels by cells, shapes left out", says="each level has its own number of shapes")
def place_by_cells(index, grids, k):
    for level, ((rows, columns), shapes) in enumerate(zip(grids, k, strict=True)):
        if index // shapes < rows * columns:
            cell, shape = divmod(index, shapes)
            return level, *divmod(cell, columns), shape
        index -= rows * columns
    return len(k) - 1, 0, 0, 0


@wrong("3.1", "five levels at most", says="there may be six levels, as in SSD")
def place_five_levels(index, grids, k):
    return place_by_division(index, [*grids[:5], (99, 99)][: len(grids)], k)


@wrong("3.1", "the level from 1, the rest from 0", says="the first box is shape 0 of the first cell of the first level")
def place_level_from_one(index, grids, k):
    level, *place = place_by_division(index, grids, k)
    return level + 1, *place


@wrong("3.1", "the row rounded to the nearest", says="the last cell of a row still belongs to it")
def place_rounded(index, grids, k):
    level, row, column, shape = place_by_division(index, grids, k)
    return level, round(row + column / grids[level][1]), column, shape


@wrong("3.1", "a list", says="the first box is shape 0 of the first cell of the first level", only_behaviour=True)
def place_list(index, grids, k):
    return list(place_by_division(index, grids, k))


@wrong("3.1", "levels taken out of the lists", says="input should stay unchanged", only_behaviour=True)
def place_popped(index, grids, k):
    level = 0
    while index >= counts(grids, k)[0]:
        index -= counts(grids, k)[0]
        grids.pop(0), k.pop(0)
        level += 1
    cell, shape = divmod(index, k[0])
    return level, *divmod(cell, grids[0][1]), shape


# --- 3.2 again ---------------------------------------------------------------------------------------------------


@right("3.2", "matrices for boxes and centres")
def edges_matrices(boxes, centres, stride):
    of_boxes = torch.diag(boxes.new_tensor([-1.0, -1, 1, 1])) / stride
    of_centres = boxes.new_tensor([[1.0, 0, -1, 0], [0, 1, 0, -1]]) / stride
    return boxes @ of_boxes + centres @ of_centres


@right("3.2", "filled row by row")
def edges_filled(boxes, centres, stride):
    out = torch.empty_like(boxes)
    for i in range(boxes.shape[0]):
        out[i, :2] = (centres[i] - boxes[i, :2]) / stride
        out[i, 2:] = (boxes[i, 2:] - centres[i]) / stride
    return out


@right("3.2", "everything in strides first")
def edges_strides_first(boxes, centres, stride):
    corners, (x, y) = (boxes / stride).T, (centres / stride).T
    return torch.stack([x - corners[0], y - corners[1], corners[2] - x, corners[3] - y]).T


@wrong("3.2", "left and top in strides only", says="distances should be measured in strides")
def edges_half_strides(boxes, centres, stride):
    return torch.cat([(centres - boxes[:, :2]) / stride, boxes[:, 2:] - centres], dim=1)


@wrong("3.2", "left, right, top, bottom", says="the right and bottom edges lie ahead of the centre")
def edges_other_order(boxes, centres, stride):
    return edges_cat(boxes, centres, stride)[:, [0, 2, 1, 3]]


@wrong("3.2", "the first centre for all", says="each object should meet its own centre")
def edges_first_centre(boxes, centres, stride):
    return edges_cat(boxes, centres[:1].expand_as(centres), stride)


@wrong("3.2", "centres repeated downwards", says="each object should meet its own centre")
def edges_repeated_down(boxes, centres, stride):
    sign = boxes.new_tensor([-1, -1, 1, 1])
    return (boxes - centres.repeat(2, 1).reshape(-1, 4)) * sign / stride


@wrong("3.2", "columns stacked, then folded", says="each object should meet its own centre")
def edges_folded(boxes, centres, stride):
    return edges_cat(boxes, centres, stride).T.reshape(-1, 4)


@wrong("3.2", "the centre counted in strides", says="distances should be measured in strides")
def edges_centre_in_strides(boxes, centres, stride):
    return edges_cat(boxes, centres * stride, stride)


@wrong("3.2", "the object's own centre", says="the right and bottom edges lie ahead of the centre")
def edges_own_centre(boxes, centres, stride):
    return edges_cat(boxes, (boxes[:, :2] + boxes[:, 2:]) / 2, stride)


@wrong(
    "3.2",
    "negative everywhere where the centre is outside",
    says="an edge on the wrong side of the centre has a negative",
)
def edges_all_negative(boxes, centres, stride):
    distances = edges_cat(boxes, centres, stride)
    return torch.where((distances < 0).any(dim=1, keepdim=True), -distances.abs(), distances)


@wrong("3.2", "0 everywhere where the centre is outside", says="an edge on the wrong side of the centre has a negative")
def edges_nothing_outside(boxes, centres, stride):
    distances = edges_cat(boxes, centres, stride)
    return distances * (distances >= 0).all(dim=1, keepdim=True)


@wrong("3.2", "boxes with width and height", says="the right and bottom edges lie ahead of the centre")
def edges_sizes(boxes, centres, stride):
    return edges_cat(torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1), centres, stride)


@wrong("3.2", "one pixel less to the right and down", says="the right and bottom edges lie ahead of the centre")
def edges_last_pixel(boxes, centres, stride):
    return edges_cat(boxes - boxes.new_tensor([0, 0, 1, 1]), centres, stride)


@wrong("3.2", "shares of the object's sides", says="the right and bottom edges lie ahead of the centre")
def edges_shares(boxes, centres, stride):
    return edges_cat(boxes, centres, 1) / (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)


@wrong("3.2", "every centre to every object", says="the right and bottom edges lie ahead of the centre")
def edges_all_pairs(boxes, centres, stride):
    return torch.cat([centres[None] - boxes[:, None, :2], boxes[:, None, 2:] - centres[None]], dim=2) / stride


@wrong("3.2", "the middle of the centre's cell", says="the right and bottom edges lie ahead of the centre")
def edges_cell_middle(boxes, centres, stride):
    return edges_cat(boxes, (torch.div(centres, stride, rounding_mode="floor") + 0.5) * stride, stride)


@wrong("3.2", "two columns where there is no object", says="no objects should give an empty [0, 4] result")
def edges_two_columns(boxes, centres, stride):
    return edges_cat(boxes, centres, stride) if len(boxes) else centres - boxes[:, :2]


@wrong("3.2", "64 strides at most", says="distances may be large")
def edges_sixty_four(boxes, centres, stride):
    return edges_cat(boxes, centres, stride).clamp(max=64)


@wrong("3.2", "no gradient to the right and bottom edges", says="gradient should flow", only_behaviour=True)
def edges_half_gradient(boxes, centres, stride):
    return edges_cat(torch.cat([boxes[:, :2], boxes[:, 2:].detach()], dim=1), centres, stride)


@wrong("3.2", "no gradient to edges on the wrong side", says="gradient should flow", only_behaviour=True)
def edges_outside_gradient(boxes, centres, stride):
    distances = edges_cat(boxes, centres, stride)
    return torch.where(distances < 0, distances.detach(), distances)


# --- 3.3 again ---------------------------------------------------------------------------------------------------


@right("3.3", "quotient and remainder of the cell's number")
def centres_remainder(rows, columns, stride):
    n = torch.arange(rows * columns)
    return torch.stack([n % columns, n // columns], dim=1) * float(stride) + stride / 2


@right("3.3", "the places of an array of ones")
def centres_nonzero(rows, columns, stride):
    return (torch.ones(rows, columns).nonzero()[:, [1, 0]].float() + 0.5).mul(stride)


@right("3.3", "two loops")
def centres_loops(rows, columns, stride):
    out = torch.zeros(rows * columns, 2)
    for r in range(rows):
        for c in range(columns):
            out[r * columns + c] = torch.tensor([stride * c + stride * 0.5, stride * r + stride * 0.5])
    return out


@wrong("3.3", "half a stride in whole pixels", says="an odd stride has its middle at a half")
def centres_half_whole(rows, columns, stride):
    x, y = torch.arange(columns) * stride + stride // 2, torch.arange(rows) * stride + stride // 2
    return torch.cartesian_prod(y, x).flip(1).float()


@wrong("3.3", "all x, then all y", says="the centres of a single row run to the right")
def centres_all_x(rows, columns, stride):
    x, y = torch.meshgrid(*axes(rows, columns, stride), indexing="xy")
    return torch.stack([x, y]).reshape(-1, 2)


@wrong("3.3", "spread from edge to edge", says="the only centre of a map of one cell is half a stride in")
def centres_edge_to_edge(rows, columns, stride):
    x, y = torch.linspace(0, columns * stride, columns), torch.linspace(0, rows * stride, rows)
    return torch.cartesian_prod(y, x).flip(1)


@wrong("3.3", "spread from the first centre to the end", says="the centres of a single row run to the right")
def centres_to_the_end(rows, columns, stride):
    x = torch.linspace(stride / 2, columns * stride, columns)
    y = torch.linspace(stride / 2, rows * stride, rows)
    return torch.cartesian_prod(y, x).flip(1)


@wrong("3.3", "the middle of pixels that count from 0", says="the only centre of a map of one cell is half a stride in")
def centres_of_pixels(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride) - 0.5


@wrong("3.3", "sorted by x", says="the second centre should be the next one of the first row")
def centres_sorted(rows, columns, stride):
    return torch.tensor(sorted(centres_meshgrid(rows, columns, stride).tolist()))


@wrong("3.3", "sorted by distance from the corner", says="the centres of a row should come before those of the next")
def centres_by_distance(rows, columns, stride):
    centres = centres_meshgrid(rows, columns, stride)
    return centres[centres.sum(dim=1).argsort(stable=True)]


@wrong("3.3", "as many rows as columns", says="the centres of a single row run to the right")
def centres_square_grid(rows, columns, stride):
    return centres_meshgrid(columns, columns, stride)


@wrong("3.3", "a snake", says="the second centre should be the next one of the first row")
def centres_snake(rows, columns, stride):
    grid = centres_meshgrid(rows, columns, stride).reshape(rows, columns, 2)
    grid[1::2] = grid[1::2].flip(1)
    return grid.reshape(-1, 2)


@wrong("3.3", "half before the stride is taken", says="the only centre of a map of one cell is half a stride in")
def centres_half_pixel(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride) - stride / 2 + 0.5


@wrong("3.3", "both repeated the same way", says="the second centre should be the next one of the first row")
def centres_same_repeat(rows, columns, stride):
    x, y = axes(rows, columns, stride)
    return torch.stack([x.repeat(rows), y.repeat(columns)], dim=1)


@wrong("3.3", "transposed once more, then folded", says="the second centre should be the next one of the first row")
def centres_folded(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride).reshape(columns, rows, 2).transpose(0, 1).reshape(-1, 2)


@wrong("3.3", "y counted up from the lower edge", says="the centres of a single column run down")
def centres_y_up(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride) * torch.tensor([1, -1]) + torch.tensor([0, rows * stride])


@wrong("3.3", "one cell too many at each end", says="the only centre of a map of one cell is half a stride in")
def centres_one_more(rows, columns, stride):
    return centres_meshgrid(rows + 1, columns + 1, stride)


@wrong("3.3", "half precision", says="a centre far from the corner should be exact as well")
def centres_half_precision(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride).half().float()


@wrong("3.3", "double precision", says="the only centre of a map of one cell is half a stride in", only_behaviour=True)
def centres_double(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride).double()


@wrong("3.3", "a list of pairs", says="the only centre of a map of one cell is half a stride in", only_behaviour=True)
def centres_list(rows, columns, stride):
    return centres_meshgrid(rows, columns, stride).tolist()


@wrong("3.2", "255 strides at most", says="distances may be large")
def edges_in_a_byte(boxes, centres, stride):
    x, y = centres.unbind(1)
    edges = torch.stack([x - boxes[:, 0], y - boxes[:, 1], boxes[:, 2] - x, boxes[:, 3] - y], dim=1) / stride
    return edges.clamp(max=255)
