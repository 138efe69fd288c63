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


# --- 3.3 level_scales --------------------------------------------------------------------------------------------


@right("3.3", "one step less than levels")
def scales_step(smallest, largest, levels):
    step = (largest - smallest) / max(levels - 1, 1)
    return [smallest + step * level for level in range(levels)]


@right("3.3", "linspace")
def scales_linspace(smallest, largest, levels):
    return torch.linspace(smallest, largest, levels, dtype=torch.float64).tolist()


@wrong("3.3", "true division only", says="smallest and the largest scale")
def scales_true_division(smallest, largest, levels):
    step = (largest - smallest) / levels
    return [smallest + step * level for level in range(levels)]


@wrong("3.3", "right count, still whole steps", says="should not be cut")
def scales_whole(smallest, largest, levels):
    step = (largest - smallest) // max(levels - 1, 1)
    return [smallest + step * level for level in range(levels)]


@wrong("3.3", "fails for one level", says="a single level")
def scales_one(smallest, largest, levels):
    step = (largest - smallest) / (levels - 1)
    return [smallest + step * level for level in range(levels)]


@wrong("3.3", "one scale too many", says="two levels")
def scales_too_many(smallest, largest, levels):
    return [smallest + (largest - smallest) / levels * level for level in range(levels + 1)]


@wrong("3.3", "ends only", says="the last level should have the largest scale")
def scales_ends(smallest, largest, levels):
    return [smallest, largest][:levels]


@wrong("3.3", "equal ratios instead of equal steps", says="should")
def scales_geometric(smallest, largest, levels):
    return [smallest * (largest / smallest) ** (level / max(levels - 1, 1)) for level in range(levels)]


@wrong("3.3", "largest first", says="two levels")
def scales_reversed(smallest, largest, levels):
    return scales_step(smallest, largest, levels)[::-1]
