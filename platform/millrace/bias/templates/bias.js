"use strict";
(function () {
  function show(id) {
    var target = id && document.getElementById(id);
    if (!target) return;
    if (!target.offsetParent) {
      var deep = target.closest(".deep");
      var level = document.getElementById(deep ? "level-everything" : "level-analyst");
      if (level) level.checked = true;
    }
    for (var at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    target.scrollIntoView();
  }
  window.addEventListener("hashchange", function () { show(decodeURIComponent(location.hash.slice(1))); });
  if (location.hash) show(decodeURIComponent(location.hash.slice(1)));

  function percent(share) { return isFinite(share) ? (share * 100).toFixed(1) + "%" : "\u2013"; }
  function points(gap) { return isFinite(gap) ? (gap * 100).toFixed(1) + " points" : "\u2013"; }
  function whole(count) { return Math.round(count).toString().replace(/\B(?=(\d{3})+$)/g, ","); }
  function above(counts) {
    var found = new Array(counts.length + 1), sum = 0;
    found[counts.length] = 0;
    for (var place = counts.length - 1; place >= 0; place--) found[place] = sum += counts[place];
    return found;
  }
  function spread(values) {
    var known = values.filter(isFinite);
    return known.length < 2 ? NaN : Math.max.apply(null, known) - Math.min.apply(null, known);
  }

  Array.prototype.forEach.call(document.querySelectorAll("[data-explorer]"), function (box) {
    var data = JSON.parse(box.getAttribute("data-explorer"));
    var groups = data.groups.map(function (group) {
      return { no: above(group.unfavourable), yes: above(group.favourable) };
    });
    var part = function (name) { return box.querySelector("[data-part='" + name + "']"); };
    var slider = part("threshold"), table = part("groups").querySelectorAll("tbody tr");
    var costs = [part("cost-false-positive"), part("cost-false-negative")];
    function cost(place) {
      var prices = costs.map(function (input) { return Math.max(0, Number(input.value) || 0); }), sum = 0;
      groups.forEach(function (group) { sum += prices[0] * group.no[place] + prices[1] * (group.yes[0] - group.yes[place]); });
      return sum;
    }
    function name(place) {
      return place < data.starts.length ? "scores of " + Number(data.starts[place].toPrecision(4)) + " and above" : "nobody";
    }
    function draw() {
      var place = Number(slider.value), rates = [], hits = [], alarms = [];
      groups.forEach(function (group, row) {
        var selected = group.no[place] + group.yes[place], all = group.no[0] + group.yes[0];
        rates.push(selected / all); hits.push(group.yes[place] / group.yes[0]); alarms.push(group.no[place] / group.no[0]);
        var cells = table[row].querySelectorAll("td");
        [whole(selected), percent(rates[row]), percent(hits[row]), percent(alarms[row]), percent(group.yes[place] / selected)]
          .forEach(function (text, column) { cells[column].textContent = text; });
      });
      var ratio = Math.min.apply(null, rates) / Math.max.apply(null, rates);
      part("choice").textContent = name(place);
      part("ratio").textContent = isFinite(ratio) ? ratio.toFixed(2) : "\u2013";
      part("odds").textContent = points(Math.max(spread(hits), spread(alarms)));
      part("cost").textContent = whole(cost(place));
      slider.setAttribute("aria-valuetext", name(place));
      var now = part("now"), plot = part("plot");
      var left = Number(plot.getAttribute("data-left")), right = Number(plot.getAttribute("data-right"));
      var x = left + (right - left) * place / data.starts.length;
      now.setAttribute("x1", x); now.setAttribute("x2", x);
    }
    part("cheapest").addEventListener("click", function () {
      var best = 0;
      for (var place = 1; place <= data.starts.length; place++) if (cost(place) < cost(best)) best = place;
      slider.value = best; draw();
    });
    [slider, costs[0], costs[1]].forEach(function (input) { input.addEventListener("input", draw); });
    part("controls").hidden = false;
    draw();
  });
})();
