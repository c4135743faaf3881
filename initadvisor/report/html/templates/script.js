"use strict";
// Sorting, filtering and copying. Without this the page is the same page with a plain table.
(function () {
  function each(root, what, act) { Array.prototype.forEach.call(root.querySelectorAll(what), act); }

  function valueOf(row, column, numeric) {
    var cell = row.cells[column];
    if (!numeric) return cell.textContent.trim().toLowerCase();
    return cell.hasAttribute("data-v") ? parseFloat(cell.getAttribute("data-v").replace("inf", "Infinity")) : NaN;
  }

  function sort(table, column, numeric, down) {
    var body = table.tBodies[0];
    var rows = Array.prototype.map.call(body.rows, function (row, place) {
      return { row: row, value: valueOf(row, column, numeric), place: place };
    });
    var collator = new Intl.Collator(undefined, { numeric: true });
    rows.sort(function (a, b) {
      // What is not known comes last, whichever way.
      if (numeric) {
        if (isNaN(a.value) || isNaN(b.value)) return isNaN(a.value) - isNaN(b.value) || a.place - b.place;
        return (a.value === b.value ? 0 : a.value < b.value === down ? 1 : -1) || a.place - b.place;
      }
      if (!a.value || !b.value) return !a.value - !b.value || a.place - b.place;
      return (down ? -1 : 1) * collator.compare(a.value, b.value) || a.place - b.place;
    });
    var all = document.createDocumentFragment();
    rows.forEach(function (one) { all.appendChild(one.row); });
    body.appendChild(all);
  }

  function setUp(table) {
    var article = table.closest("article");
    var form = article.querySelector("form.filter");
    var field = form.querySelector("input");
    var said = form.querySelector("output");
    var total = table.tBodies[0].rows.length;
    var order = "";

    function tell(shown) {
      said.textContent = (shown === total ? total : shown + " of " + total) + " layers" + order;
    }
    function filter() {
      var words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0;
      Array.prototype.forEach.call(table.tBodies[0].rows, function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
        if (!row.hidden) shown += 1;
      });
      tell(shown);
    }

    each(table, "th[data-sort]", function (head) {
      var name = head.textContent;
      var button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      head.textContent = "";
      head.appendChild(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending";
        each(table, "th[data-sort]", function (other) { other.setAttribute("aria-sort", "none"); });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, head.cellIndex, head.getAttribute("data-sort") === "number", down);
        order = ", sorted by " + name + (down ? ", descending" : ", ascending");
        filter();
      });
    });
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    field.addEventListener("input", filter);
    form.hidden = false;
  }

  function offerCopy(place) {
    var code = place.querySelector("code");
    var button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", function () {
      function done(text) {
        button.textContent = text;
        setTimeout(function () { button.textContent = "Copy"; }, 2000);
      }
      function select() {
        var range = document.createRange();
        range.selectNodeContents(code);
        var selection = getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        done(document.execCommand("copy") ? "Copied" : "Selected");
      }
      if (!navigator.clipboard) return select();
      navigator.clipboard.writeText(code.textContent).then(function () { done("Copied"); }, select);
    });
    place.appendChild(button);
  }

  var closed = [];
  addEventListener("beforeprint", function () {
    each(document, "details:not([open])", function (one) { closed.push(one); one.open = true; });
  });
  addEventListener("afterprint", function () {
    closed.forEach(function (one) { one.open = false; });
    closed = [];
  });

  each(document, "table.layers", setUp);
  each(document, ".command", offerCopy);
})();
